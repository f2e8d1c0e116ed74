//! Operators of the reference interpreter that move elements: views, gather, concat, pad and resize.

use super::{Tensor, broadcast_strides, for_each_index, offset, strides, word};
use crate::graph::constant::Dtype;
use crate::graph::op::{CoordinateMode, NearestMode, Op, PadMode, ResizeKind};

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
        _ => return None,
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

/// The place in an input axis of `dim` elements of output element `index` of `out`, not yet clamped.
fn source_coordinate(mode: CoordinateMode, index: usize, dim: usize, out: usize, scale: f32) -> f64 {
    let (i, scale) = (index as f64, f64::from(scale));
    match mode {
        CoordinateMode::HalfPixel => (i + 0.5) / scale - 0.5,
        CoordinateMode::PytorchHalfPixel if out > 1 => (i + 0.5) / scale - 0.5,
        CoordinateMode::AlignCorners if out > 1 => i * (dim as f64 - 1.0) / (out as f64 - 1.0),
        CoordinateMode::PytorchHalfPixel | CoordinateMode::AlignCorners => 0.0,
        CoordinateMode::Asymmetric => i / scale,
    }
}

/// Input elements of one axis, with weights, that make an output element.
fn taps(kind: ResizeKind, coordinate: f64, dim: usize) -> Vec<(usize, f64)> {
    let last = dim as f64 - 1.0;
    match kind {
        ResizeKind::Nearest(rounding) => {
            let nearest = match rounding {
                NearestMode::Floor => coordinate.floor(),
                NearestMode::Ceil => coordinate.ceil(),
                NearestMode::RoundPreferFloor => (coordinate - 0.5).ceil(),
                NearestMode::RoundPreferCeil => (coordinate + 0.5).floor(),
            };
            vec![(nearest.clamp(0.0, last) as usize, 1.0)]
        }
        ResizeKind::Linear => {
            let at = coordinate.clamp(0.0, last);
            let low = at.floor();
            vec![(low as usize, 1.0 - (at - low)), ((low + 1.0).min(last) as usize, at - low)]
        }
    }
}

/// Resampling.
pub fn resize(kind: ResizeKind, coordinates: CoordinateMode, scales: &[f32], x: &Tensor, shape: &[usize]) -> Tensor {
    let own = strides(&x.shape);
    let axis_taps: Vec<Vec<Vec<(usize, f64)>>> = (0..shape.len())
        .map(|axis| {
            let (dim, out) = (x.shape[axis], shape[axis]);
            let place = |i| source_coordinate(coordinates, i, dim, out, scales[axis]);
            let kept = dim == out && scales[axis] == 1.0;
            (0..out).map(|i| if kept { vec![(i, 1.0)] } else { taps(kind, place(i), dim) }).collect()
        })
        .collect();
    let mut words = Vec::with_capacity(shape.iter().product());
    for_each_index(shape, |index| {
        let mut terms = vec![(0, 1.0)];
        for (axis, stride) in own.iter().enumerate() {
            let taps = &axis_taps[axis][index[axis]];
            terms = terms
                .iter()
                .flat_map(|(at, weight)| taps.iter().map(move |(tap, w)| (at + tap * stride, weight * w)))
                .collect();
        }
        let whole = matches!(x.dtype, Dtype::I32 | Dtype::Bool) || terms.len() == 1;
        words.push(if whole {
            x.words[terms[0].0]
        } else {
            word(terms.iter().map(|(at, weight)| x.value(*at) * weight).sum(), x.dtype)
        });
    });
    Tensor { shape: shape.to_vec(), dtype: x.dtype, words }
}
