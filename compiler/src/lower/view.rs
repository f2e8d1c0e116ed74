//! Strided views of tensors: how a value lies in its buffer.
//!
//! Reshape, transpose, broadcast and slice become views where strides can say it, so that no data moves. All numbers are
//! elements. This file deliberately knows no buffers: a tensor is an index.

/// A tensor of the program: a range of the activation arena or of the constants buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub u32);

/// A strided view of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The tensor.
    pub tensor: TensorId,
    /// Element at index (0, 0, …).
    pub offset: i64,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Element distance along each axis; 0 for a repeated axis, negative for a reversed one.
    pub strides: Vec<i64>,
}

/// Strides of a dense row-major tensor.
pub fn dense_strides(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![1_i64; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1].max(1) as i64;
    }
    strides
}

/// The same as unsigned numbers, for constants.
pub fn element_strides(shape: &[usize]) -> Vec<usize> {
    dense_strides(shape).iter().map(|s| *s as usize).collect()
}

impl View {
    /// A dense row-major view of a whole tensor.
    pub fn dense(tensor: TensorId, shape: &[usize]) -> Self {
        Self { tensor, offset: 0, shape: shape.to_vec(), strides: dense_strides(shape) }
    }

    /// Elements seen.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether no element is seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether elements lie in row-major order without gaps (axes of size 1 do not matter).
    pub fn is_dense(&self) -> bool {
        let dense = dense_strides(&self.shape);
        (0..self.shape.len()).all(|i| self.shape[i] == 1 || self.strides[i] == dense[i])
    }

    /// Axis i of the result is axis `permutation[i]`.
    pub fn transposed(&self, permutation: &[usize]) -> Self {
        Self {
            tensor: self.tensor,
            offset: self.offset,
            shape: permutation.iter().map(|p| self.shape[*p]).collect(),
            strides: permutation.iter().map(|p| self.strides[*p]).collect(),
        }
    }

    /// Axes of size 1 repeated to `shape`.
    pub fn broadcast(&self, shape: &[usize]) -> Self {
        let strides =
            (0..shape.len()).map(|i| if self.shape[i] == 1 && shape[i] != 1 { 0 } else { self.strides[i] }).collect();
        Self { tensor: self.tensor, offset: self.offset, shape: shape.to_vec(), strides }
    }

    /// Elements start, start + step, … of each axis.
    pub fn sliced(&self, starts: &[usize], steps: &[isize], shape: &[usize]) -> Self {
        let offset: i64 = (0..shape.len()).map(|i| starts[i] as i64 * self.strides[i]).sum();
        Self {
            tensor: self.tensor,
            offset: self.offset + offset,
            shape: shape.to_vec(),
            strides: (0..shape.len()).map(|i| self.strides[i] * steps[i] as i64).collect(),
        }
    }

    /// Windows of the axes from the third on as axes of their own: (…, kernel…, places…). Elements are seen several times.
    pub fn unfolded(&self, kernel: &[usize], steps: &[usize], dilations: &[usize], shape: &[usize]) -> Self {
        let spatial = || (0..kernel.len()).map(|i| self.strides[2 + i]);
        let taps = spatial().zip(dilations).map(|(stride, dilation)| stride * *dilation as i64);
        let places = spatial().zip(steps).map(|(stride, step)| stride * *step as i64);
        let strides = self.strides[..2].iter().copied().chain(taps).chain(places).collect();
        Self { tensor: self.tensor, offset: self.offset, shape: shape.to_vec(), strides }
    }

    /// The same elements in the same row-major order under another shape, when strides can say it.
    pub fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        // Axes of size 1 carry no information; the others are merged into runs that one stride describes, and the new
        // axes must cut these runs.
        let mut runs: Vec<(usize, i64)> = Vec::new();
        for (dim, stride) in self.shape.iter().zip(&self.strides).filter(|(d, _)| **d != 1) {
            match runs.last_mut() {
                Some((size, inner)) if *inner == *stride * *dim as i64 => {
                    *size *= dim;
                    *inner = *stride;
                }
                _ => runs.push((*dim, *stride)),
            }
        }
        if self.is_empty() {
            return Some(Self {
                tensor: self.tensor,
                offset: self.offset,
                shape: shape.to_vec(),
                strides: dense_strides(shape),
            });
        }
        let mut strides = vec![0_i64; shape.len()];
        let mut axis = shape.len();
        for (size, stride) in runs.into_iter().rev() {
            let mut left = size;
            let mut step = stride;
            while left > 1 {
                axis = axis.checked_sub(1)?;
                strides[axis] = step;
                if left % shape[axis] != 0 {
                    return None;
                }
                left /= shape[axis];
                step *= shape[axis] as i64;
            }
        }
        shape[..axis].iter().all(|d| *d == 1).then(|| Self {
            tensor: self.tensor,
            offset: self.offset,
            shape: shape.to_vec(),
            strides,
        })
    }
}

/// Merges neighbouring axes that every operand walks with one stride; axes of size 1 vanish. `strides[o][i]` is the stride
/// of operand o along axis i. Returns the merged shape and strides; an empty shape means a single element.
pub fn merge_axes(shape: &[usize], strides: &[Vec<i64>]) -> (Vec<usize>, Vec<Vec<i64>>) {
    let mut out_shape: Vec<usize> = Vec::new();
    let mut out: Vec<Vec<i64>> = vec![Vec::new(); strides.len()];
    for (axis, dim) in shape.iter().enumerate().filter(|(_, d)| **d != 1) {
        let joins =
            !out_shape.is_empty() && strides.iter().zip(&out).all(|(s, o)| o[o.len() - 1] == s[axis] * *dim as i64);
        if joins {
            *out_shape.last_mut().expect("checked to be non-empty") *= dim;
            for (s, o) in strides.iter().zip(&mut out) {
                *o.last_mut().expect("as long as the shape") = s[axis];
            }
        } else {
            out_shape.push(*dim);
            for (s, o) in strides.iter().zip(&mut out) {
                o.push(s[axis]);
            }
        }
    }
    (out_shape, out)
}

#[cfg(test)]
mod tests {
    use super::{TensorId, View, merge_axes};

    #[test]
    fn reshape_of_a_transpose_splits_axes_but_does_not_join_them() {
        let view = View::dense(TensorId(0), &[4, 6]).transposed(&[1, 0]);
        assert_eq!(view.reshaped(&[2, 3, 4]).map(|v| v.strides), Some(vec![3, 1, 6]));
        assert_eq!(view.reshaped(&[24]), None);
    }

    #[test]
    fn merging_joins_axes_that_all_operands_walk_together() {
        let (shape, strides) = merge_axes(&[2, 3, 1, 4], &[vec![12, 4, 9, 1], vec![12, 4, 0, 1]]);
        assert_eq!((shape, strides), (vec![24], vec![vec![1], vec![1]]));
        let (shape, _) = merge_axes(&[2, 3, 4], &[vec![12, 4, 1], vec![0, 4, 1]]);
        assert_eq!(shape, vec![2, 12]);
    }
}
