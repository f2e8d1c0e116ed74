//! Sums, products, softmax and norms of the reference interpreter, accumulated in f64.

use super::products::{TileRow, matrix};
use crate::graph::constant::Dtype;
use crate::graph::op::{NormKind, ReduceKind};
use crate::graph::tensor::{Tensor, for_each_index, offset, strides, word};

/// Stride of each of `labels` in a tensor whose axes are `axes`; 0 where the tensor does not have it.
fn label_strides(labels: &[u8], axes: &[u8], shape: &[usize]) -> Vec<usize> {
    let own = strides(shape);
    labels.iter().map(|l| axes.iter().position(|a| a == l).map_or(0, |axis| own[axis])).collect()
}

/// Σ over the labels that are not in `output` of a · b.
pub fn einsum(axes: [&[u8]; 2], output: &[u8], operands: [&Tensor; 2], shape: &[usize]) -> Tensor {
    let mut summed: Vec<(u8, usize)> = Vec::new();
    for (labels, operand) in axes.iter().zip(operands) {
        for (label, dim) in labels.iter().zip(&operand.shape) {
            if !output.contains(label) && summed.iter().all(|(l, _)| l != label) {
                summed.push((*label, *dim));
            }
        }
    }
    let product = Product { axes, output, operands, shape, summed };
    let words = if product.is_of_matrices() { product.by_matrices() } else { product.by_elements() };
    Tensor { shape: shape.to_vec(), dtype: operands[0].dtype, words }
}

/// Multiplications below which nothing is gathered.
const FEW_PRODUCTS: usize = 4096;

/// An einsum of two operands.
struct Product<'a> {
    axes: [&'a [u8]; 2],
    output: &'a [u8],
    operands: [&'a Tensor; 2],
    shape: &'a [usize],
    /// Labels that are summed over, with their sizes.
    summed: Vec<(u8, usize)>,
}

impl Product<'_> {
    /// Element by element.
    fn by_elements(&self) -> Vec<u32> {
        let Self { axes, output, operands: [a, b], shape, .. } = self;
        let (labels, dims) = self.sums();
        let outer = [0, 1].map(|i| label_strides(output, axes[i], &self.operands[i].shape));
        let inner = [0, 1].map(|i| label_strides(&labels, axes[i], &self.operands[i].shape));
        let mut terms = Vec::new();
        for_each_index(&dims, |k| terms.push((offset(k, &inner[0]), offset(k, &inner[1]))));
        let mut words = Vec::with_capacity(shape.iter().product());
        for_each_index(shape, |index| {
            let (at_a, at_b) = (offset(index, &outer[0]), offset(index, &outer[1]));
            let sum: f64 = terms.iter().map(|(i, j)| a.value(at_a + i) * b.value(at_b + j)).sum();
            words.push(word(sum, a.dtype));
        });
        words
    }

    fn sums(&self) -> (Vec<u8>, Vec<usize>) {
        self.summed.iter().copied().unzip()
    }

    /// Whether this is a batch of matrix products of floats, and a large one: each summed label is in both operands, once.
    fn is_of_matrices(&self) -> bool {
        let once = |labels: &[u8]| labels.iter().all(|l| labels.iter().filter(|other| *other == l).count() == 1);
        let is_float = self.operands.iter().all(|operand| operand.dtype == Dtype::F32);
        let in_both = self.summed.iter().all(|(label, _)| self.axes.iter().all(|axes| axes.contains(label)));
        let products = self.summed.iter().map(|(_, size)| size).chain(self.shape).product::<usize>();
        is_float && in_both && self.axes.iter().all(|axes| once(axes)) && products >= FEW_PRODUCTS
    }

    /// Offsets of every index along the labels that `belongs` picks, in the output and in both operands.
    fn places(&self, belongs: impl Fn(u8) -> bool) -> Vec<[usize; 3]> {
        let picked = self.output.iter().zip(self.shape).filter(|(label, _)| belongs(**label));
        let (labels, dims): (Vec<u8>, Vec<usize>) = picked.map(|(label, size)| (*label, *size)).unzip();
        let own = label_strides(&labels, self.output, self.shape);
        let strides = [0, 1].map(|i| label_strides(&labels, self.axes[i], &self.operands[i].shape));
        let mut places = Vec::new();
        for_each_index(&dims, |i| places.push([offset(i, &own), offset(i, &strides[0]), offset(i, &strides[1])]));
        places
    }

    /// The same sums, as products of matrices.
    fn by_matrices(&self) -> Vec<u32> {
        let [a, b] = self.operands;
        let [in_a, in_b] = self.axes.map(|axes| move |label| axes.contains(&label));
        let batches = self.places(|label| in_a(label) && in_b(label));
        let rows = self.places(|label| in_a(label) && !in_b(label));
        let columns = self.places(|label| !in_a(label));
        let (labels, dims) = self.sums();
        let inner = [0, 1].map(|i| label_strides(&labels, self.axes[i], &self.operands[i].shape));
        let mut terms = Vec::new();
        for_each_index(&dims, |k| terms.push((offset(k, &inner[0]), offset(k, &inner[1]))));
        let float = |tensor: &Tensor, index: usize| f64::from(f32::from_bits(tensor.words[index]));
        let mut words = vec![0; self.shape.iter().product()];
        let nothing: f64 = std::iter::empty::<f64>().sum();
        for [batch, batch_a, batch_b] in batches {
            let of_row = |row: &[usize; 3]| {
                let base = batch_a + row[1];
                terms.iter().map(move |(k, _)| float(a, base + k))
            };
            let left: Vec<f64> = rows.iter().flat_map(of_row).collect();
            let gather = |first: usize, tile: &mut [TileRow]| {
                for (tile, (_, k)) in tile.iter_mut().zip(&terms) {
                    for (to, column) in tile.iter_mut().zip(&columns[first..]) {
                        *to = float(b, batch_b + column[2] + k);
                    }
                }
            };
            let sums = matrix(&left, [rows.len(), terms.len(), columns.len()], nothing, &gather);
            let places = rows.iter().flat_map(|row| columns.iter().map(|column| batch + row[0] + column[0]));
            places.zip(sums).for_each(|(place, sum)| words[place] = word(sum, Dtype::F32));
        }
        words
    }
}

/// Calls `visit` with the element offsets of every slice of `shape` along `axes`.
fn for_each_slice(shape: &[usize], axes: &[usize], mut visit: impl FnMut(&[usize])) {
    let strides = strides(shape);
    let (mut outer, mut inner) = (shape.to_vec(), vec![1; shape.len()]);
    for axis in axes {
        outer[*axis] = 1;
        inner[*axis] = shape[*axis];
    }
    let mut relative = Vec::new();
    for_each_index(&inner, |index| relative.push(offset(index, &strides)));
    for_each_index(&outer, |index| {
        let base = offset(index, &strides);
        let slice: Vec<usize> = relative.iter().map(|r| base + r).collect();
        visit(&slice);
    });
}

/// exp(x − max) / Σ of every value, in place, or its logarithm.
fn softmax_row(row: &mut [f64], log: bool) {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|v| (v - max).exp()).sum();
    for v in row {
        *v = if log { *v - max - sum.ln() } else { (*v - max).exp() / sum };
    }
}

/// Softmax along an axis.
pub fn softmax(x: &Tensor, axis: usize, log: bool) -> Tensor {
    let mut words = vec![0; x.words.len()];
    for_each_slice(&x.shape, &[axis], |slice| {
        let mut row: Vec<f64> = slice.iter().map(|i| x.value(*i)).collect();
        softmax_row(&mut row, log);
        slice.iter().zip(&row).for_each(|(i, v)| words[*i] = word(*v, Dtype::F32));
    });
    Tensor { shape: x.shape.clone(), dtype: Dtype::F32, words }
}

/// Layer and RMS normalisation over the axes.
pub fn normalize(kind: NormKind, axes: &[usize], epsilon: f32, x: &Tensor) -> Tensor {
    let mut words = vec![0; x.words.len()];
    for_each_slice(&x.shape, axes, |slice| {
        let row: Vec<f64> = slice.iter().map(|i| x.value(*i)).collect();
        let count = row.len() as f64;
        let mean = match kind {
            NormKind::Layer => row.iter().sum::<f64>() / count,
            NormKind::Rms => 0.0,
        };
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let factor = 1.0 / (variance + f64::from(epsilon)).sqrt();
        slice.iter().zip(&row).for_each(|(i, v)| words[*i] = word((v - mean) * factor, x.dtype));
    });
    Tensor { shape: x.shape.clone(), dtype: x.dtype, words }
}

/// scale · q kᵀ: (batch…, i, d) and (batch…, j, d) to (batch…, i, j).
pub fn scores(scale: f32, q: &Tensor, k: &Tensor) -> Tensor {
    let rank = q.shape.len();
    let (rows, depth, keys) = (q.shape[rank - 2], q.shape[rank - 1], k.shape[rank - 2]);
    let mut shape = q.shape.clone();
    shape[rank - 1] = keys;
    let count: usize = shape.iter().product();
    let words = (0..count).map(|at| {
        let (row, key) = (at / keys, at / (keys * rows) * keys + at % keys);
        let dot: f64 = (0..depth).map(|d| q.value(row * depth + d) * k.value(key * depth + d)).sum();
        word(dot * f64::from(scale), Dtype::F32)
    });
    Tensor { words: words.collect(), shape, dtype: Dtype::F32 }
}

/// softmax(scores) v. Rows in which all of `hides` is −∞ have weights of 0.
pub fn attention(scores: &Tensor, hides: Option<&Tensor>, v: &Tensor, shape: &[usize]) -> Tensor {
    let rank = shape.len();
    let (rows, width, keys) = (shape[rank - 2], shape[rank - 1], v.shape[rank - 2]);
    let mut words = Vec::with_capacity(shape.iter().product());
    for row in 0..shape[..rank - 1].iter().product() {
        let mut weights: Vec<f64> = (0..keys).map(|j| scores.value(row * keys + j)).collect();
        let hidden = |hides: &Tensor| (0..keys).all(|j| hides.value(row * keys + j) == f64::NEG_INFINITY);
        if hides.is_some_and(hidden) {
            weights.fill(0.0);
        } else {
            softmax_row(&mut weights, false);
        }
        let first = row / rows * keys;
        for e in 0..width {
            let sum: f64 = weights.iter().enumerate().map(|(j, p)| p * v.value((first + j) * width + e)).sum();
            words.push(word(sum, Dtype::F32));
        }
    }
    Tensor { shape: shape.to_vec(), dtype: Dtype::F32, words }
}

/// What the largest of no elements is, or the smallest.
fn extremum(dtype: Dtype, max: bool) -> f64 {
    match (dtype, max) {
        (Dtype::F32, true) => f64::NEG_INFINITY,
        (Dtype::F32, false) => f64::INFINITY,
        (Dtype::I32, true) => f64::from(i32::MIN),
        (Dtype::I32, false) => f64::from(i32::MAX),
        (Dtype::Bool, max) => f64::from(u8::from(!max)),
    }
}

/// Reduction over the axes. A NaN is the largest and the smallest of all, but for `MaxNumber`.
pub fn reduce(kind: ReduceKind, axes: &[usize], x: &Tensor, shape: &[usize]) -> Tensor {
    let mut words = Vec::with_capacity(shape.iter().product());
    for_each_slice(&x.shape, axes, |slice| {
        let row = || slice.iter().map(|i| x.value(*i));
        let count = slice.len() as f64;
        let value = match kind {
            ReduceKind::Sum => row().sum(),
            ReduceKind::Mean => row().sum::<f64>() / count,
            ReduceKind::SumSquare => row().map(|v| v * v).sum(),
            ReduceKind::MeanSquare => row().map(|v| v * v).sum::<f64>() / count,
            ReduceKind::Max => row().fold(extremum(x.dtype, true), |a, b| if b > a || b.is_nan() { b } else { a }),
            ReduceKind::Min => row().fold(extremum(x.dtype, false), |a, b| if b < a || b.is_nan() { b } else { a }),
            ReduceKind::MaxNumber => row().fold(extremum(x.dtype, true), f64::max),
            ReduceKind::Product => row().product(),
            ReduceKind::L1 => row().map(f64::abs).sum(),
            ReduceKind::L2 => row().map(|v| v * v).sum::<f64>().sqrt(),
        };
        words.push(word(value, x.dtype));
    });
    Tensor { shape: shape.to_vec(), dtype: x.dtype, words }
}

/// Index of the largest or smallest element along an axis. A NaN is better than every number.
pub fn arg_reduce(axis: usize, max: bool, last: bool, x: &Tensor, shape: &[usize]) -> Tensor {
    let mut words = Vec::with_capacity(shape.iter().product());
    for_each_slice(&x.shape, &[axis], |slice| {
        let mut best = 0;
        for i in 1..slice.len() {
            let (candidate, found) = (x.value(slice[i]), x.value(slice[best]));
            let better = if max { candidate > found } else { candidate < found };
            let same = candidate == found || (candidate.is_nan() && found.is_nan());
            if better || (candidate.is_nan() && !found.is_nan()) || (last && same) {
                best = i;
            }
        }
        words.push(best as u32);
    });
    Tensor { shape: shape.to_vec(), dtype: Dtype::I32, words }
}
