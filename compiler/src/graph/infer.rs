//! Shapes and types of operators from those of their operands.
//!
//! Import uses it and compares the result with what tract inferred; `verify` uses it after every stage. It deliberately
//! knows nothing about how an operator is computed.

use super::constant::Dtype;
use super::kernel_op::{Operands, TypedShape};
use super::op::{Op, PoolKind, Window};
use super::pointwise::Pointwise;
use super::shape_error::ShapeError;

fn count(op: &Op, operands: &[TypedShape<'_>], expected: usize, text: &'static str) -> Result<(), ShapeError> {
    if operands.len() == expected {
        Ok(())
    } else {
        Err(ShapeError::OperandCount { op: op.name(), expected: text, found: operands.len() })
    }
}

fn bad(op: &Op, operands: &[TypedShape<'_>], operand: usize, reason: &'static str) -> ShapeError {
    ShapeError::Shape { op: op.name(), operand, shape: operands[operand].0.to_vec(), reason }
}

/// Output size of a window along each spatial axis; `None` when the window does not fit.
pub fn window_output(window: &Window, spatial: &[usize]) -> Option<Vec<usize>> {
    let n = spatial.len();
    let lists = [&window.kernel, &window.strides, &window.dilations, &window.pads_before, &window.pads_after];
    if lists.iter().any(|l| l.len() != n) {
        return None;
    }
    (0..n)
        .map(|i| {
            let extent = window.kernel[i].checked_sub(1)?.checked_mul(window.dilations[i])?.checked_add(1)?;
            let padded = spatial[i].checked_add(window.pads_before[i])?.checked_add(window.pads_after[i])?;
            (padded.checked_sub(extent)?.checked_div(window.strides[i])?).checked_add(1)
        })
        .collect()
}

fn broadcast(op: &Op, operands: &[TypedShape<'_>]) -> Result<Vec<usize>, ShapeError> {
    let rank = operands.first().map_or(0, |o| o.0.len());
    let mut shape = vec![1; rank];
    for (position, (dims, _)) in operands.iter().enumerate() {
        if dims.len() != rank {
            return Err(bad(op, operands, position, "all operands have the same rank"));
        }
        for (out, dim) in shape.iter_mut().zip(*dims) {
            if *out == 1 {
                *out = *dim;
            } else if *dim != 1 && *dim != *out {
                return Err(bad(op, operands, position, "dimensions are equal or 1"));
            }
        }
    }
    Ok(shape)
}

fn einsum(op: &Op, a: &[u8], b: &[u8], output: &[u8], operands: &[TypedShape<'_>]) -> Result<Vec<usize>, ShapeError> {
    count(op, operands, 2, "2")?;
    let mut sizes = std::collections::BTreeMap::new();
    for (position, labels) in [a, b].iter().enumerate() {
        if labels.len() != operands[position].0.len() {
            return Err(bad(op, operands, position, "one label an axis"));
        }
        for (label, dim) in labels.iter().zip(operands[position].0) {
            if *sizes.entry(*label).or_insert(*dim) != *dim {
                return Err(bad(op, operands, position, "axes of one label have one size"));
            }
        }
    }
    output
        .iter()
        .map(|l| sizes.get(l).copied().ok_or_else(|| bad(op, operands, 0, "every output label occurs in an operand")))
        .collect()
}

fn axis_ok(op: &Op, operands: &[TypedShape<'_>], axis: usize) -> Result<(), ShapeError> {
    if axis < operands[0].0.len() { Ok(()) } else { Err(bad(op, operands, 0, "the axis is within the rank")) }
}

fn spatial_weight(op: &Op, operands: &[TypedShape<'_>]) -> Result<(), ShapeError> {
    count(op, operands, 2, "2")?;
    let (x, w) = (operands[0].0, operands[1].0);
    if x.len() < 3 {
        return Err(bad(op, operands, 0, "batch, channels and at least one spatial axis"));
    }
    if w.len() != x.len() {
        return Err(bad(op, operands, 1, "the rank of the input"));
    }
    Ok(())
}

/// Shape and type of a result.
type Inferred = Result<(Vec<usize>, Dtype), ShapeError>;

/// Shape and type of an operator's result.
pub fn infer(op: &Op, operands: &[TypedShape<'_>]) -> Inferred {
    let parameter = ShapeError::ShapeIsAParameter { op: op.name() };
    match op {
        Op::Input | Op::Reshape | Op::Broadcast | Op::Slice { .. } | Op::Resize { .. } => Err(parameter),
        Op::Constant(c) => Ok((c.shape.clone(), c.dtype())),
        Op::Kernel(own) => own.behaviour().infer(&Operands::new(op.name(), operands)),
        Op::Pointwise(program) => pointwise(op, operands, program),
        Op::Einsum { a, b, output } => Ok((einsum(op, a, b, output, operands)?, operands[0].1)),
        Op::Conv { window, groups } => conv(op, operands, window, *groups),
        Op::Fold { window, output_padding } => fold(op, operands, window, output_padding),
        Op::Unfold { kernel, strides, dilations } => unfold(op, operands, kernel, strides, dilations),
        Op::Scatter { .. } => scatter(op, operands),
        Op::Pool { window, kind } => pool(op, operands, window, *kind),
        Op::Softmax { axis, .. } => {
            count(op, operands, 1, "1")?;
            axis_ok(op, operands, *axis)?;
            Ok((operands[0].0.to_vec(), Dtype::F32))
        }
        Op::Normalize { axes, .. } | Op::Reduce { axes, .. } => rows(op, operands, axes),
        Op::ArgReduce { axis, .. } => {
            count(op, operands, 1, "1")?;
            axis_ok(op, operands, *axis)?;
            let mut shape = operands[0].0.to_vec();
            shape[*axis] = 1;
            Ok((shape, Dtype::I32))
        }
        Op::Attention { score, .. } => attention(op, operands, score.as_ref()),
        Op::Gather { axis } => gather(op, operands, *axis),
        Op::Transpose { permutation } => transpose(op, operands, permutation),
        Op::Concat { axis } => concat(op, operands, *axis),
        Op::Pad { before, after, .. } => pad(op, operands, before, after),
    }
}

/// Its operands broadcast.
fn pointwise(op: &Op, operands: &[TypedShape<'_>], program: &Pointwise) -> Inferred {
    if operands.len() != program.inputs.len() {
        return Err(ShapeError::OperandCount {
            op: op.name(),
            expected: "one operand for each input of its program",
            found: operands.len(),
        });
    }
    for (operand, (expected, found)) in program.inputs.iter().zip(operands.iter().map(|o| o.1)).enumerate() {
        if *expected != found {
            return Err(ShapeError::Dtype { op: op.name(), operand, expected: *expected, found });
        }
    }
    Ok((broadcast(op, operands)?, program.dtype()))
}

/// (batch, outputs, spatial …).
fn conv(op: &Op, operands: &[TypedShape<'_>], window: &Window, groups: usize) -> Inferred {
    spatial_weight(op, operands)?;
    let (x, w) = (operands[0].0, operands[1].0);
    if groups == 0 || w[0] % groups != 0 || w[1].checked_mul(groups) != Some(x[1]) || w[2..] != window.kernel {
        return Err(bad(op, operands, 1, "outputs, channels / groups and kernel of the window"));
    }
    let spatial = window_output(window, &x[2..]).ok_or_else(|| bad(op, operands, 0, "the window fits"))?;
    Ok(([&[x[0], w[0]], spatial.as_slice()].concat(), Dtype::F32))
}

/// (batch, channels, spatial …), from (batch, channels, kernel …, places …).
fn fold(op: &Op, operands: &[TypedShape<'_>], window: &Window, output_padding: &[usize]) -> Inferred {
    count(op, operands, 1, "1")?;
    let x = operands[0].0;
    let n = window.kernel.len();
    if n == 0 || n > 3 || x.len() != 2 + 2 * n || x[2..2 + n] != window.kernel || output_padding.len() != n {
        return Err(bad(op, operands, 0, "batch, channels, kernel of the window, one to three spatial axes"));
    }
    let spatial: Option<Vec<usize>> = (0..n)
        .map(|i| {
            let full = x[2 + n + i].checked_sub(1)?.checked_mul(window.strides[i])?
                + window.kernel[i].checked_sub(1)? * window.dilations[i]
                + 1
                + output_padding[i];
            full.checked_sub(window.pads_before[i] + window.pads_after[i])
        })
        .collect();
    let spatial = spatial.ok_or_else(|| bad(op, operands, 0, "the pads are smaller than the output"))?;
    Ok(([&x[..2], spatial.as_slice()].concat(), operands[0].1))
}

/// (batch, channels, kernel …, places …).
fn unfold(op: &Op, operands: &[TypedShape<'_>], kernel: &[usize], strides: &[usize], dilations: &[usize]) -> Inferred {
    count(op, operands, 1, "1")?;
    let x = operands[0].0;
    let window = Window {
        kernel: kernel.to_vec(),
        strides: strides.to_vec(),
        dilations: dilations.to_vec(),
        pads_before: vec![0; kernel.len()],
        pads_after: vec![0; kernel.len()],
    };
    let spatial = x.get(2..).and_then(|spatial| window_output(&window, spatial));
    let spatial = spatial.ok_or_else(|| bad(op, operands, 0, "the window fits"))?;
    Ok(([&x[..2], kernel, spatial.as_slice()].concat(), operands[0].1))
}

/// That of the data.
fn scatter(op: &Op, operands: &[TypedShape<'_>]) -> Inferred {
    count(op, operands, 3, "3")?;
    let (data, rows, updates) = (operands[0], operands[1], operands[2]);
    let [_, inner] = data.0 else { return Err(bad(op, operands, 0, "rows and elements of a row")) };
    let [length] = rows.0 else { return Err(bad(op, operands, 1, "one axis")) };
    if rows.1 != Dtype::I32 {
        return Err(ShapeError::Dtype { op: op.name(), operand: 1, expected: Dtype::I32, found: rows.1 });
    }
    if updates.0 != [*length, *inner] {
        return Err(bad(op, operands, 2, "one row for each index"));
    }
    if updates.1 != data.1 {
        return Err(ShapeError::Dtype { op: op.name(), operand: 2, expected: data.1, found: updates.1 });
    }
    Ok((data.0.to_vec(), data.1))
}

/// (batch, channels, spatial …).
fn pool(op: &Op, operands: &[TypedShape<'_>], window: &Window, kind: PoolKind) -> Inferred {
    count(op, operands, 1, "1")?;
    let x = operands[0].0;
    if x.len() < 3 {
        return Err(bad(op, operands, 0, "batch, channels and at least one spatial axis"));
    }
    let spatial = window_output(window, &x[2..]).ok_or_else(|| bad(op, operands, 0, "the window fits"))?;
    let dtype = if kind == PoolKind::MaxIndex { Dtype::I32 } else { operands[0].1 };
    Ok(([&x[..2], spatial.as_slice()].concat(), dtype))
}

/// Norms keep the shape, reductions have 1 along their axes.
fn rows(op: &Op, operands: &[TypedShape<'_>], axes: &[usize]) -> Inferred {
    count(op, operands, 1, "1")?;
    for axis in axes {
        axis_ok(op, operands, *axis)?;
    }
    let mut shape = operands[0].0.to_vec();
    if matches!(op, Op::Reduce { .. }) {
        axes.iter().for_each(|a| shape[*a] = 1);
    }
    Ok((shape, operands[0].1))
}

/// (…, i, e), from q (…, i, d), k (…, j, d), v (…, j, e).
fn attention(op: &Op, operands: &[TypedShape<'_>], score: Option<&Pointwise>) -> Inferred {
    let added = score.map_or(0, |score| score.inputs.len() - 1);
    count(op, operands, 3 + added, "q, k, v and those of its score program")?;
    let (q, k, v) = (operands[0].0, operands[1].0, operands[2].0);
    let rank = q.len();
    let fits = rank >= 2
        && k.len() == rank
        && v.len() == rank
        && q[..rank - 2] == k[..rank - 2]
        && q[..rank - 2] == v[..rank - 2]
        && q[rank - 1] == k[rank - 1]
        && k[rank - 2] == v[rank - 2];
    if !fits {
        return Err(bad(op, operands, 1, "q (…, i, d), k (…, j, d), v (…, j, e)"));
    }
    let mut shape = q.to_vec();
    shape[rank - 1] = k[rank - 2];
    let types = score.iter().copied().flat_map(|score| &score.inputs).skip(1);
    for ((position, mask), expected) in operands.iter().enumerate().skip(3).zip(types) {
        if mask.0.len() != rank || mask.0.iter().zip(&shape).any(|(m, s)| *m != 1 && m != s) {
            return Err(bad(op, operands, position, "broadcasts to (…, i, j)"));
        }
        if mask.1 != *expected {
            let (op, found) = (op.name(), mask.1);
            return Err(ShapeError::Dtype { op, operand: position, expected: *expected, found });
        }
    }
    shape[rank - 1] = v[rank - 1];
    Ok((shape, Dtype::F32))
}

/// The axis gives way to those of the indices.
fn gather(op: &Op, operands: &[TypedShape<'_>], axis: usize) -> Inferred {
    count(op, operands, 2, "2")?;
    axis_ok(op, operands, axis)?;
    if operands[1].1 != Dtype::I32 {
        return Err(ShapeError::Dtype { op: op.name(), operand: 1, expected: Dtype::I32, found: operands[1].1 });
    }
    let data = operands[0].0;
    Ok(([&data[..axis], operands[1].0, &data[axis + 1..]].concat(), operands[0].1))
}

/// Axes in the order of the permutation.
fn transpose(op: &Op, operands: &[TypedShape<'_>], permutation: &[usize]) -> Inferred {
    count(op, operands, 1, "1")?;
    let x = operands[0].0;
    let mut sorted = permutation.to_vec();
    sorted.sort_unstable();
    if sorted != (0..x.len()).collect::<Vec<_>>() {
        return Err(bad(op, operands, 0, "the permutation covers every axis once"));
    }
    Ok((permutation.iter().map(|p| x[*p]).collect(), operands[0].1))
}

/// The sum of the sizes along the axis.
fn concat(op: &Op, operands: &[TypedShape<'_>], axis: usize) -> Inferred {
    let (shape, dtype) =
        operands.first().copied().ok_or(ShapeError::OperandCount { op: op.name(), expected: "1 or more", found: 0 })?;
    axis_ok(op, operands, axis)?;
    let mut out = shape.to_vec();
    for (position, (other, _)) in operands.iter().enumerate().skip(1) {
        let fits = other.len() == out.len() && (0..out.len()).all(|i| i == axis || other[i] == out[i]);
        if !fits {
            return Err(bad(op, operands, position, "equal to the first but for the axis"));
        }
        out[axis] += other[axis];
    }
    Ok((out, dtype))
}

/// Every axis with its pads.
fn pad(op: &Op, operands: &[TypedShape<'_>], before: &[usize], after: &[usize]) -> Inferred {
    count(op, operands, 1, "1")?;
    let x = operands[0].0;
    if before.len() != x.len() || after.len() != x.len() {
        return Err(bad(op, operands, 0, "one pad an axis"));
    }
    Ok(((0..x.len()).map(|i| before[i] + x[i] + after[i]).collect(), operands[0].1))
}
