//! Operators of the reference interpreter that move elements: views, gather, concat, pad and resize.

use crate::graph::op::{Op, PadMode, ScatterKind, Taps};
use crate::graph::tensor::{Tensor, broadcast_strides, for_each_index, offset, strides, word};

/// For every element of a view's result, in order, the element of its operand; `None` when `op` is not a view.
pub fn source_indices(op: &Op, from: &[usize], to: &[usize]) -> Option<Vec<usize>> {
    let own = strides(from);
    let mut indices = Vec::with_capacity(to.iter().product());
    match op {
        Op::Reshape => indices.extend(0..to.iter().product::<usize>()),
        Op::Transpose { permutation } => {
            let permuted: Vec<usize> = permutation.iter().map(|p| own[*p]).collect();
            for_each_index(to, |index| indices.push(offset(index, &permuted)));
        }
        Op::Broadcast => {
            let read = broadcast_strides(from);
            for_each_index(to, |index| indices.push(offset(index, &read)));
        }
        Op::Slice { starts, steps } => for_each_index(to, |index| {
            let source = (0..to.len()).map(|i| (starts[i] as isize + steps[i] * index[i] as isize) as usize * own[i]);
            indices.push(source.sum());
        }),
        Op::Unfold { kernel, strides: steps, dilations } => {
            let n = kernel.len();
            for_each_index(to, |index| {
                let place = |i: usize| (index[2 + n + i] * steps[i] + index[2 + i] * dilations[i]) * own[2 + i];
                indices.push(index[0] * own[0] + index[1] * own[1] + (0..n).map(place).sum::<usize>());
            });
        }
        Op::Input
        | Op::Constant(_)
        | Op::Pointwise(_)
        | Op::Einsum { .. }
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::Attention { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => return None,
    }
    Some(indices)
}

/// A view, made dense.
pub fn view(op: &Op, x: &Tensor, shape: &[usize]) -> Tensor {
    let indices = source_indices(op, &x.shape, shape).expect("the caller matched a view");
    Tensor { shape: shape.to_vec(), dtype: x.dtype, words: indices.into_iter().map(|i| x.words[i]).collect() }
}

/// Elements along an axis at i32 indices, negative ones from the end.
pub fn gather(axis: usize, data: &Tensor, indices: &Tensor, shape: &[usize]) -> Tensor {
    let dim = data.shape[axis];
    let inner: usize = data.shape[axis + 1..].iter().product();
    let outer: usize = data.shape[..axis].iter().product();
    let mut words = Vec::with_capacity(shape.iter().product());
    for o in 0..outer {
        for index in &indices.words {
            let index = *index as i32;
            let row = if index < 0 { (i64::from(index) + dim as i64) as usize } else { index as usize };
            assert!(row < dim, "gather index {index} is outside an axis of {dim}");
            let start = (o * dim + row) * inner;
            words.extend_from_slice(&data.words[start..start + inner]);
        }
    }
    Tensor { shape: shape.to_vec(), dtype: data.dtype, words }
}

/// Rows combined with updates, one after the other.
pub fn scatter(kind: ScatterKind, data: &Tensor, rows: &Tensor, updates: &Tensor) -> Tensor {
    let inner = data.shape[1];
    let mut out = data.clone();
    for (u, row) in rows.words.iter().enumerate() {
        let row = *row as i32;
        let row = usize::try_from(row).expect("scattered rows are not negative");
        assert!(row < data.shape[0], "scatter row {row} is outside {}", data.shape[0]);
        for i in 0..inner {
            let (old, new) = (out.value(row * inner + i), updates.value(u * inner + i));
            let value = match kind {
                ScatterKind::Replace => new,
                ScatterKind::Add => old + new,
                ScatterKind::Mul => old * new,
                ScatterKind::Min => old.min(new),
                ScatterKind::Max => old.max(new),
            };
            out.words[row * inner + i] = word(value, data.dtype);
        }
    }
    out
}

/// The operands one after the other along an axis.
pub fn concat(axis: usize, operands: &[&Tensor], shape: &[usize]) -> Tensor {
    let outer: usize = shape[..axis].iter().product();
    let mut words = Vec::with_capacity(shape.iter().product());
    for o in 0..outer {
        for operand in operands {
            let chunk: usize = operand.shape[axis..].iter().product();
            words.extend_from_slice(&operand.words[o * chunk..(o + 1) * chunk]);
        }
    }
    Tensor { shape: shape.to_vec(), dtype: operands[0].dtype, words }
}

/// Where a padded axis reads its operand; `None` in constant padding.
fn padded_source(index: usize, before: usize, dim: usize, mode: PadMode) -> Option<usize> {
    let at = index as isize - before as isize;
    let last = dim as isize - 1;
    match mode {
        PadMode::Constant(_) => (0..dim as isize).contains(&at).then_some(at as usize),
        PadMode::Edge => Some(at.clamp(0, last) as usize),
        PadMode::Reflect => {
            let period = (2 * last).max(1);
            let folded = at.rem_euclid(period);
            Some(if folded > last { period - folded } else { folded } as usize)
        }
    }
}

/// Padding.
pub fn pad(before: &[usize], mode: PadMode, x: &Tensor, shape: &[usize]) -> Tensor {
    let own = strides(&x.shape);
    let fill = match mode {
        PadMode::Constant(value) => word(f64::from(value), x.dtype),
        PadMode::Reflect | PadMode::Edge => 0,
    };
    let mut words = Vec::with_capacity(shape.iter().product());
    for_each_index(shape, |index| {
        let source: Option<usize> =
            (0..shape.len()).map(|i| padded_source(index[i], before[i], x.shape[i], mode).map(|at| at * own[i])).sum();
        words.push(source.map_or(fill, |at| x.words[at]));
    });
    Tensor { shape: shape.to_vec(), dtype: x.dtype, words }
}

/// Resampling.
pub fn resize(axes: &[Taps], fill: f32, x: &Tensor, shape: &[usize]) -> Tensor {
    let own = strides(&x.shape);
    let mut words = Vec::with_capacity(shape.iter().product());
    for_each_index(shape, |index| {
        let mut terms = vec![(0, 1.0)];
        for (axis, taps) in axes.iter().enumerate() {
            let at = index[axis];
            let read: Vec<(i32, f32)> = if taps.is_kept() {
                vec![(at as i32, 1.0)]
            } else {
                (at * taps.window..(at + 1) * taps.window).map(|i| (taps.indices[i], taps.weights[i])).collect()
            };
            if read[0].0 < 0 {
                terms.clear();
            }
            let stride = own[axis];
            terms = terms
                .iter()
                .flat_map(|(place, weight)| {
                    read.iter().map(move |(tap, w)| (place + *tap as usize * stride, weight * f64::from(*w)))
                })
                .collect();
        }
        words.push(match terms.as_slice() {
            [] => word(f64::from(fill), x.dtype),
            [(only, _)] => x.words[*only],
            _ => word(terms.iter().map(|(at, weight)| x.value(*at) * weight).sum(), x.dtype),
        });
    });
    Tensor { shape: shape.to_vec(), dtype: x.dtype, words }
}
