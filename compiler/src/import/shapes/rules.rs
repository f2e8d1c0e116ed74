//! What each operator needs of the shapes of its operands: the one table.

use super::claim::{Rule, View};

/// What a rule says: nothing, or the operand at fault and the shape that it should have.
type Verdict = Result<(), (usize, String)>;

/// Operators whose operands have to agree, sorted by name.
const RULES: &[(&str, Rule)] = &[
    ("Add", broadcast),
    ("And", broadcast),
    ("Attention", attention),
    ("AveragePool", pooled),
    ("BatchNormalization", batch_normalization),
    ("BitShift", broadcast),
    ("BitwiseAnd", broadcast),
    ("BitwiseOr", broadcast),
    ("BitwiseXor", broadcast),
    ("Clip", |v| (1..3).try_for_each(|position| v.one(position))),
    ("Compress", compress),
    ("Conv", convolution),
    ("ConvInteger", convolution),
    ("ConvTranspose", transposed_convolution),
    ("CumProd", |v| v.one(1)),
    ("CumSum", |v| v.one(1)),
    ("DepthToSpace", |v| v.holds(0, |x| x.len() == 4, || "four axes".to_owned())),
    ("DequantizeLinear", quantized),
    ("Div", broadcast),
    ("Dropout", |v| (1..3).try_for_each(|position| v.one(position))),
    ("Equal", broadcast),
    ("GRU", |v| recurrent(v, 3)),
    ("GatherElements", gathered_elements),
    ("GatherND", gathered_slices),
    ("Gemm", gemm),
    ("Greater", broadcast),
    ("GreaterOrEqual", broadcast),
    ("GridSample", sampled),
    ("GroupNormalization", group_normalization),
    ("If", |v| v.one(0)),
    ("InstanceNormalization", |v| (1..3).try_for_each(|position| of_channels(v, position))),
    ("LSTM", |v| recurrent(v, 4)),
    ("LayerNormalization", scaled),
    ("Less", broadcast),
    ("LessOrEqual", broadcast),
    ("LpPool", pooled),
    ("MatMulInteger", integer_product),
    ("Max", of_one_shape),
    ("MaxPool", pooled),
    ("MaxRoiPool", |v| v.holds(1, |found| found.len() == 2 && found[1] == 5, || "[regions, 5]".to_owned())),
    ("MaxUnpool", |v| v.shape(0).map_or(Ok(()), |x| v.needs(1, x))),
    ("Mean", of_one_shape),
    ("Min", of_one_shape),
    ("Mod", broadcast),
    ("Mul", broadcast),
    ("NegativeLogLikelihoodLoss", loss),
    ("OneHot", |v| v.one(1).and_then(|()| v.needs(2, &[2]))),
    ("Or", broadcast),
    ("PRelu", |v| if v.claim.since < 7 { Ok(()) } else { v.shape(0).map_or(Ok(()), |x| v.broadcasts(1, x)) }),
    ("Pad", padded),
    ("Pow", broadcast),
    ("QLinearConv", quantized_convolution),
    ("QuantizeLinear", quantized),
    ("RMSNormalization", scaled),
    ("RNN", |v| recurrent(v, 1)),
    ("Range", |v| (0..3).try_for_each(|position| v.one(position))),
    ("Resize", resized),
    ("ReverseSequence", reversed),
    ("RoiAlign", regions),
    ("Scatter", scattered_elements),
    ("ScatterElements", scattered_elements),
    ("ScatterND", scattered_slices),
    ("SimplifiedLayerNormalization", scaled),
    ("SoftmaxCrossEntropyLoss", loss),
    ("SpaceToDepth", in_blocks),
    ("Split", split),
    ("Sub", broadcast),
    ("Sum", of_one_shape),
    ("Tile", tiled),
    ("TopK", |v| v.one(1)),
    ("Trilu", |v| v.one(1)),
    ("Upsample", resized),
    ("Where", broadcast),
    ("Xor", broadcast),
    ("com.microsoft.BiasGelu", |v| of_last_axis(v, &[1])),
    ("com.microsoft.EmbedLayerNormalization", embedded),
    ("com.microsoft.FastGelu", |v| of_last_axis(v, &[1])),
    ("com.microsoft.SkipLayerNormalization", |v| skipped(v, &[2, 3, 4])),
    ("com.microsoft.SkipSimplifiedLayerNormalization", |v| skipped(v, &[2, 3])),
];

/// What an operator needs.
pub fn of(name: &str) -> Option<Rule> {
    RULES.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|index| RULES[index].1)
}

/// A value for every channel of the first operand.
fn of_channels(v: &View<'_>, position: usize) -> Verdict {
    v.shape(0).and_then(|x| x.get(1)).map_or(Ok(()), |channels| v.needs(position, &[*channels]))
}

fn of_last_axis(v: &View<'_>, positions: &[usize]) -> Verdict {
    let Some(size) = v.shape(0).and_then(|x| x.last()) else { return Ok(()) };
    positions.iter().try_for_each(|position| v.needs(*position, &[*size]))
}

/// What skips the norm broadcasts to the input.
fn skipped(v: &View<'_>, positions: &[usize]) -> Verdict {
    of_last_axis(v, positions)?;
    v.shape(0).map_or(Ok(()), |x| v.broadcasts(1, x))
}

/// Ids of words, segments and places, and the mask: (batch, length) each; tables of one width.
fn embedded(v: &View<'_>) -> Verdict {
    v.holds(0, |ids| ids.len() == 2, || "two axes".to_owned())?;
    let Some(ids) = v.shape(0) else { return Ok(()) };
    v.needs(1, ids)?;
    v.needs(7, ids)?;
    v.broadcasts(8, ids)?;
    let Some(width) = v.shape(2).and_then(|table| table.last().copied()) else { return Ok(()) };
    let as_wide = |table: &[usize]| table.len() == 2 && table[1] == width;
    [3, 4].into_iter().try_for_each(|position| v.holds(position, as_wide, || format!("[rows, {width}]")))?;
    [5, 6].into_iter().try_for_each(|position| v.needs(position, &[width]))
}

/// One zero point, or one for each row of the first operand and each column of the second.
fn integer_product(v: &View<'_>) -> Verdict {
    for (operand, from_end) in [(0, 2), (1, 1)] {
        let Some(&[.., rows, columns]) = v.shape(operand) else { continue };
        let size = if from_end == 2 { rows } else { columns };
        let fits = |found: &[usize]| {
            let elements = found.iter().product::<usize>();
            elements == 1 || found == [size] || found.len() > 1 && found[found.len() - from_end] == size
        };
        v.holds(operand + 2, fits, || format!("one element, or [{size}],"))?;
    }
    Ok(())
}

/// Two numbers for each axis, or for each that is named.
fn padded(v: &View<'_>) -> Verdict {
    let Some(x) = v.shape(0).filter(|_| v.claim.since >= 11) else { return Ok(()) };
    let axes = v.shape(3).map_or(x.len(), |axes| axes.iter().product());
    v.holds(1, |pads| pads.iter().product::<usize>() == 2 * axes, || format!("[{}]", 2 * axes))
}

/// All operands broadcast to one shape. Before version 7 an attribute says so, and which axes are meant.
fn broadcast(v: &View<'_>) -> Verdict {
    if v.claim.since < 7 {
        return Ok(());
    }
    let mut whole: Vec<usize> = Vec::new();
    for position in 0..v.claim.operands.len() {
        let Some(shape) = v.shape(position) else { return Ok(()) };
        let (longer, shorter) = if shape.len() > whole.len() { (shape, &whole[..]) } else { (&whole[..], shape) };
        let offset = longer.len() - shorter.len();
        let mut joined = longer.to_vec();
        for (size, other) in joined[offset..].iter_mut().zip(shorter) {
            *size = match (*size, *other) {
                (1, other) => other,
                (size, other) if other == 1 || other == size => size,
                _ => return Err((position, format!("one that broadcasts with {whole:?}"))),
            };
        }
        whole = joined;
    }
    Ok(())
}

/// The window fits into the padded axes.
fn pooled(v: &View<'_>) -> Verdict {
    let explicit =
        v.attribute("auto_pad").is_none_or(|attribute| matches!(attribute.s.as_slice(), b"" | b"NOTSET" | b"VALID"));
    let (Some(x), Some(window)) = (v.shape(0).filter(|_| explicit), v.attribute("kernel_shape")) else { return Ok(()) };
    let list = |name: &str| v.attribute(name).map(|attribute| attribute.ints.as_slice()).unwrap_or_default();
    let (pads, dilations) = (list("pads"), list("dilations"));
    let axes = window.ints.len();
    for (axis, (size, taps)) in x.iter().skip(2).zip(&window.ints).enumerate() {
        let pad = |at: usize| pads.get(at).copied().unwrap_or(0);
        let span = (taps - 1).saturating_mul(dilations.get(axis).copied().unwrap_or(1)) + 1;
        if *size as i64 + pad(axis) + pad(axis + axes) < span {
            return Err((0, format!("at least {span} elements, padding included, along axis {}", axis + 2)));
        }
    }
    Ok(())
}

/// Planes that consist of whole blocks.
fn in_blocks(v: &View<'_>) -> Verdict {
    let block = v.int("blocksize").and_then(|block| usize::try_from(block).ok()).unwrap_or(1).max(1);
    let fits = |x: &[usize]| x.len() == 4 && x[2].is_multiple_of(block) && x[3].is_multiple_of(block);
    v.holds(0, fits, || format!("four axes, the last two multiples of {block},"))
}

/// Before version 8 nothing is broadcast.
fn of_one_shape(v: &View<'_>) -> Verdict {
    if v.claim.since >= 8 {
        return broadcast(v);
    }
    let Some(first) = v.shape(0) else { return Ok(()) };
    (1..v.claim.operands.len()).try_for_each(|position| v.needs(position, first))
}

fn batch_normalization(v: &View<'_>) -> Verdict {
    let Some(x) = v.shape(0).filter(|x| x.len() > 1) else { return Ok(()) };
    // Before version 9, parameters may be those of every element.
    let parameters = if v.int("spatial") == Some(0) { &x[1..] } else { &x[1..2] };
    (1..5).try_for_each(|position| v.needs(position, parameters))
}

fn group_normalization(v: &View<'_>) -> Verdict {
    let groups = v.int("num_groups").and_then(|groups| usize::try_from(groups).ok());
    // Since version 21 there is a value for every channel, before for every group.
    let size = if v.claim.since < 21 { groups } else { v.shape(0).and_then(|x| x.get(1)).copied() };
    size.map_or(Ok(()), |size| (1..3).try_for_each(|position| v.needs(position, &[size])))
}

/// Scale and shift broadcast to the axes that are normalised, or to all.
fn scaled(v: &View<'_>) -> Verdict {
    v.shape(0).map_or(Ok(()), |x| (1..3).try_for_each(|position| v.broadcasts(position, x)))
}

/// One scale, or one for every place of an axis; as many zero points. Blocks have shapes of their own.
fn quantized(v: &View<'_>) -> Verdict {
    let Some(x) = v.shape(0).filter(|_| v.int("block_size").unwrap_or(0) == 0) else { return Ok(()) };
    let axis = v.axis("axis", 1, x.len()).filter(|_| v.claim.since > 10).map(|axis| x[axis]);
    let needed = || axis.map_or_else(|| "one element".to_owned(), |size| format!("one element, or [{size}],"));
    let fits = |found: &[usize]| found.iter().product::<usize>() == 1 || axis.is_some_and(|size| found == [size]);
    v.holds(1, fits, needed)?;
    let Some(scales) = v.shape(1).map(|scale| scale.iter().product::<usize>()) else { return Ok(()) };
    v.holds(2, |found| found.iter().product::<usize>() == scales, || format!("as many elements as scales, {scales},"))
}

fn gemm(v: &View<'_>) -> Verdict {
    let (Some(&[a0, a1]), Some(&[b0, b1])) = (v.shape(0), v.shape(1)) else { return Ok(()) };
    let rows = if v.int("transA").unwrap_or(0) == 0 { a0 } else { a1 };
    let columns = if v.int("transB").unwrap_or(0) == 0 { b1 } else { b0 };
    // Before version 7 the third operand broadcasts only where the attribute says so.
    if v.claim.since < 7 && v.int("broadcast").unwrap_or(0) == 0 {
        return v.needs(2, &[rows, columns]);
    }
    v.broadcasts(2, &[rows, columns])
}

fn group(v: &View<'_>) -> usize {
    v.int("group").and_then(|group| usize::try_from(group).ok()).unwrap_or(1).max(1)
}

fn convolution(v: &View<'_>) -> Verdict {
    v.holds(0, |x| x.len() > 2, || "three or more axes".to_owned())?;
    let (Some(x), Some(w)) = (v.shape(0), v.shape(1)) else { return Ok(()) };
    let group = group(v);
    let fits = |w: &[usize]| w.len() == x.len() && w.len() > 1 && w[1] * group == x[1] && w[0].is_multiple_of(group);
    v.holds(1, fits, || format!("[outputs, {}, …] of {} axes", x[1] / group, x.len()))?;
    match v.claim.op.as_str() {
        "Conv" => v.needs(2, &w[..1]),
        _ => {
            v.one(2)?;
            v.holds(3, |found| found.iter().product::<usize>() == 1 || found == &w[..1], || format!("[{}]", w[0]))
        }
    }
}

fn transposed_convolution(v: &View<'_>) -> Verdict {
    v.holds(0, |x| x.len() > 2, || "three or more axes".to_owned())?;
    let (Some(x), Some(w)) = (v.shape(0), v.shape(1)) else { return Ok(()) };
    let group = group(v);
    let fits = |w: &[usize]| w.len() == x.len() && w.len() > 1 && w[0] == x[1] && w[0].is_multiple_of(group);
    v.holds(1, fits, || format!("[{}, outputs, …] of {} axes", x[1], x.len()))?;
    v.needs(2, &[w[1] * group])
}

fn quantized_convolution(v: &View<'_>) -> Verdict {
    let Some(w) = v.shape(3).filter(|w| !w.is_empty()) else { return Ok(()) };
    [1, 2, 6, 7].into_iter().try_for_each(|position| v.one(position))?;
    let of_outputs = |found: &[usize]| found.iter().product::<usize>() == 1 || found == &w[..1];
    [4, 5]
        .into_iter()
        .try_for_each(|position| v.holds(position, of_outputs, || format!("one element, or [{}],", w[0])))?;
    v.needs(8, &w[..1])
}

/// Gates × hidden rows of weights in each direction.
fn recurrent(v: &View<'_>, gates: usize) -> Verdict {
    let (Some(&[first, second, inputs]), Some(&[_, _, hidden])) = (v.shape(0), v.shape(2)) else { return Ok(()) };
    let batch_first = v.int("layout").unwrap_or(0) != 0;
    let batch = if batch_first { first } else { second };
    let both = v.attribute("direction").is_some_and(|attribute| attribute.s == b"bidirectional");
    let directions = if both { 2 } else { 1 };
    let hidden = v.int("hidden_size").and_then(|size| usize::try_from(size).ok()).unwrap_or(hidden);
    v.needs(1, &[directions, gates * hidden, inputs])?;
    v.needs(2, &[directions, gates * hidden, hidden])?;
    v.needs(3, &[directions, 2 * gates * hidden])?;
    v.needs(4, &[batch])?;
    let state = if batch_first { [batch, directions, hidden] } else { [directions, batch, hidden] };
    v.needs(5, &state)?;
    v.needs(6, &state)?;
    v.needs(7, &[directions, 3 * hidden])
}

/// Whether indices of elements lie within the data along all axes but one.
fn within(indices: &[usize], data: &[usize], axis: usize) -> bool {
    let mut pairs = indices.iter().zip(data).enumerate();
    indices.len() == data.len() && pairs.all(|(at, (index, size))| at == axis || index <= size)
}

fn gathered_elements(v: &View<'_>) -> Verdict {
    let Some((data, axis)) = v.shape(0).and_then(|data| Some((data, v.axis("axis", 0, data.len())?))) else {
        return Ok(());
    };
    v.holds(1, |found| within(found, data, axis), || format!("one within {data:?} but for axis {axis}"))
}

fn scattered_elements(v: &View<'_>) -> Verdict {
    gathered_elements(v)?;
    v.shape(1).map_or(Ok(()), |indices| v.needs(2, indices))
}

fn gathered_slices(v: &View<'_>) -> Verdict {
    let Some(data) = v.shape(0) else { return Ok(()) };
    let batch = v.int("batch_dims").and_then(|batch| usize::try_from(batch).ok()).unwrap_or(0);
    let fits = |found: &[usize]| {
        let depth = found.last().copied().unwrap_or(0);
        found.len() > batch && found[..batch] == data[..batch.min(data.len())] && batch + depth <= data.len()
    };
    v.holds(1, fits, || {
        format!("[{:?}…, at most {}]", &data[..batch.min(data.len())], data.len().saturating_sub(batch))
    })
}

fn scattered_slices(v: &View<'_>) -> Verdict {
    let Some(data) = v.shape(0) else { return Ok(()) };
    let depth = |found: &[usize]| found.last().copied().filter(|depth| *depth <= data.len());
    v.holds(1, |found| depth(found).is_some(), || format!("[…, at most {}]", data.len()))?;
    let Some((indices, depth)) = v.shape(1).and_then(|indices| Some((indices, depth(indices)?))) else { return Ok(()) };
    let places = &indices[..indices.len() - 1];
    v.needs(2, &[places, &data[depth..]].concat())
}

fn compress(v: &View<'_>) -> Verdict {
    let Some(x) = v.shape(0) else { return Ok(()) };
    let most = match v.attribute("axis") {
        Some(_) => v.axis("axis", 0, x.len()).map(|axis| x[axis]),
        None => Some(x.iter().product()),
    };
    let Some(most) = most else { return Ok(()) };
    v.holds(1, |found| found.len() == 1 && found[0] <= most, || format!("one axis of at most {most}"))
}

fn sampled(v: &View<'_>) -> Verdict {
    let Some(x) = v.shape(0).filter(|x| x.len() > 2) else { return Ok(()) };
    let fits = |grid: &[usize]| grid.len() == x.len() && grid[0] == x[0] && grid[x.len() - 1] == x.len() - 2;
    v.holds(1, fits, || format!("[{}, …, {}] of {} axes", x[0], x.len() - 2, x.len()))
}

/// A factor or a size for each axis, or for each that is named.
fn resized(v: &View<'_>) -> Verdict {
    let Some(x) = v.shape(0) else { return Ok(()) };
    let axes = v.attribute("axes").map_or(x.len(), |attribute| attribute.ints.len());
    let lists: &[usize] = if v.claim.op == "Resize" && v.claim.since > 10 { &[2, 3] } else { &[1] };
    let fits = |list: &[usize]| list.contains(&0) || list == [axes];
    lists.iter().try_for_each(|position| v.holds(*position, fits, || format!("[{axes}]")))
}

fn reversed(v: &View<'_>) -> Verdict {
    let size = v.shape(0).and_then(|x| v.axis("batch_axis", 1, x.len()).map(|axis| x[axis]));
    size.map_or(Ok(()), |size| v.needs(1, &[size]))
}

fn regions(v: &View<'_>) -> Verdict {
    v.holds(1, |found| found.len() == 2 && found[1] == 4, || "[regions, 4]".to_owned())?;
    v.shape(1).map_or(Ok(()), |regions| v.needs(2, &regions[..1]))
}

fn loss(v: &View<'_>) -> Verdict {
    let Some(x) = v.shape(0).filter(|x| x.len() > 1) else { return Ok(()) };
    v.needs(1, &[&x[..1], &x[2..]].concat())?;
    v.needs(2, &x[1..2])
}

/// Sizes add up to the axis; without sizes all parts have one size, but the last since version 18.
fn split(v: &View<'_>) -> Verdict {
    let Some((x, axis)) = v.shape(0).and_then(|x| Some((x, v.axis("axis", 0, x.len())?))) else { return Ok(()) };
    let attribute = v.attribute("split").map(|attribute| attribute.ints.as_slice());
    // The sizes of the first version may be floats, which are no values here.
    let sizes = v.integers(1).or(attribute);
    let parts = v.claim.results;
    match sizes {
        Some(sizes) if sizes.len() != parts || sizes.iter().sum::<i64>() != x[axis] as i64 => {
            Err((0, format!("{} along axis {axis}, into {} parts", sizes.iter().sum::<i64>(), sizes.len())))
        }
        None if v.shape(1).is_none() && v.claim.since < 18 && x[axis] % parts != 0 => {
            Err((0, format!("a multiple of {parts} along axis {axis}")))
        }
        Some(_) | None => Ok(()),
    }
}

fn tiled(v: &View<'_>) -> Verdict {
    let Some(x) = v.shape(0).filter(|_| v.claim.since >= 6) else { return Ok(()) };
    v.needs(1, &[x.len()])
}

/// Batches, heads and keys agree; a mask broadcasts to (batch, heads, queries, keys), and may have fewer keys.
fn attention(v: &View<'_>) -> Verdict {
    let (Some(q), Some(k)) = (v.shape(0), v.shape(1)) else { return Ok(()) };
    v.holds(0, |q| (3..5).contains(&q.len()), || "three or four axes".to_owned())?;
    let rank = q.len();
    v.holds(1, |k| k.len() == rank && k[0] == q[0], || format!("{rank} axes, the first of size {},", q[0]))?;
    let keys = rank - 2;
    let as_keys = |value: &[usize]| value.len() == rank && value[0] == q[0] && value[keys] == k[keys];
    v.holds(2, as_keys, || format!("{rank} axes, a batch of {} and {} keys", q[0], k[keys]))?;
    if rank == 4 {
        v.holds(1, |k| k[1] > 0 && q[1] % k[1] == 0, || format!("a number of heads that divides {}", q[1]))?;
        v.holds(2, |value| value[1] == k[1], || format!("{} heads", k[1]))?;
        v.holds(1, |k| k[3] == q[3], || format!("heads of {}", q[3]))?;
    }
    let heads = |name: &str| v.int(name).and_then(|heads| usize::try_from(heads).ok());
    let (q_heads, k_heads) =
        if rank == 4 { (Some(q[1]), Some(k[1])) } else { (heads("q_num_heads"), heads("kv_num_heads")) };
    for position in [4, 5] {
        let fits = |past: &[usize]| past.len() == 4 && past[0] == q[0] && k_heads.is_none_or(|heads| past[1] == heads);
        v.holds(position, fits, || format!("a batch of {} and {} heads", q[0], k_heads.unwrap_or(0)))?;
    }
    let before = v.shape(4).map_or(0, |past| past.get(2).copied().unwrap_or(0));
    let most = [Some(q[0]), q_heads, Some(q[keys])];
    let fits = |mask: &[usize]| {
        let outer = mask.iter().rev().skip(1).zip(most.iter().rev());
        let shorter = mask.last().is_some_and(|columns| *columns <= before + k[keys]);
        mask.len() <= 4
            && shorter
            && outer.into_iter().all(|(size, most)| *size == 1 || most.is_none_or(|m| m == *size))
    };
    v.holds(3, fits, || format!("one that broadcasts to [{}, heads, {}, {}]", q[0], q[keys], before + k[keys]))?;
    v.needs(6, &q[..1])
}

#[cfg(test)]
mod tests {
    use super::RULES;
    use crate::import::support::OPERATORS;

    #[test]
    fn rules_are_sorted_and_of_known_operators() {
        assert!(RULES.is_sorted_by(|a, b| a.0 < b.0));
        for (name, _) in RULES {
            assert!(OPERATORS.iter().any(|row| row.full_name() == *name), "{name}");
        }
    }
}
