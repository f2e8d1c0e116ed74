//! Inverses of square matrices, by elimination with the largest pivot of every column.
//!
//! One invocation a matrix, beside a copy of it: it deliberately takes at most [`MAX_ROWS`] rows, since
//! rows³ rounds of loops are needed, which the CPU adapter ends too soon beyond. What a singular matrix
//! gives is not finite, and not defined beyond that.

use crate::graph::constant::Dtype;
use crate::graph::kernel_op::{Inverse, KernelOpKind, KernelOperator, Operands};
use crate::graph::tensor::Tensor;
use crate::graph::{NodeId, ShapeError};
use crate::import::reason::Reason;
use crate::import::rewrite::outcome::Rewritten;
use crate::import::rewrite::steps::Steps;
use crate::kernels::params::Params;
use crate::kernels::rounds::{Rounds, nest, once};
use crate::kernels::{Hook, Kernel, KernelRow, OwnKernel, SHARED_EACH, SHARED_ELIMINATION, SHARED_FLOATS, body, row};
use crate::lower::context::Lowering;
use crate::lower::error::LowerError;
use crate::lower::ops::copy::copied;
use crate::lower::ops::elements::Elements;
use crate::lower::ops::kernel_op::LowerKernelOp;

/// Most rows of a matrix.
const MAX_ROWS: usize = 32;

impl OwnKernel for Inverse {
    const KERNEL: KernelRow = row(body!("inverse"), Hook::None, &["out", "x"], Rounds::of(&["n"], |p| rounds(p[0])))
        .shared(&[SHARED_ELIMINATION, SHARED_FLOATS, SHARED_EACH]);
}

impl Inverse {
    /// ONNX Runtime's Inverse.
    pub fn from_onnx(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
        let x = s.needed(0)?;
        let y = s.kernel_op(Self, &[x]);
        s.give(0, &y);
        Ok(Rewritten::Replaced)
    }
}

/// Rounds for a matrix of `n` rows: the unit matrix; for every column its pivot, an exchange, and all rows.
fn rounds(n: u64) -> u64 {
    once(n * n) + once(n * (1 + 2 * once(n) + nest(&[n, n])))
}

/// The inverse of one matrix, whose rows are followed by those of the unit matrix and end as those of the inverse.
fn inverse(x: &[f64], n: usize) -> Vec<f64> {
    let unit = |r: usize, c: usize| if r == c { 1.0 } else { 0.0 };
    let widened = |r: usize| (0..2 * n).map(|c| if c < n { x[r * n + c] } else { unit(r, c - n) }).collect();
    let mut rows: Vec<Vec<f64>> = (0..n).map(widened).collect();
    for k in 0..n {
        let pivot = (k..n).fold(k, |best, r| if rows[r][k].abs() > rows[best][k].abs() { r } else { best });
        rows.swap(k, pivot);
        let head = rows[k][k];
        rows[k].iter_mut().for_each(|v| *v /= head);
        let own = rows[k].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(r, _)| *r != k) {
            let factor = row[k];
            row.iter_mut().zip(&own).for_each(|(v, o)| *v -= factor * o);
        }
    }
    rows.iter().flat_map(|row| row[n..].iter().copied()).collect()
}

impl KernelOperator for Inverse {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let [(x, _)] = operands.exactly("1")?;
        operands.typed(0, Dtype::F32)?;
        let square = x.len() >= 2 && x[x.len() - 1] == x[x.len() - 2];
        operands.fits(0, square && x[x.len() - 1] <= MAX_ROWS, "square matrices of at most 32 rows")?;
        Ok((x.to_vec(), Dtype::F32))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let (x, n) = (operands[0], shape[shape.len() - 1]);
        let words: Vec<f64> = (0..x.words.len()).map(|i| x.value(i)).collect();
        let matrices = words.chunks_exact((n * n).max(1)).flat_map(|matrix| inverse(matrix, n));
        Tensor::from_f32(shape.to_vec(), matrices.map(|v| v as f32))
    }
}

impl LowerKernelOp for Inverse {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let Some(mut elements) = Elements::of(lowering, id) else { return Ok(()) };
        let x = copied(lowering, &elements.operands[0]);
        let (count, n) = (elements.count, x.shape[x.shape.len() - 1]);
        elements.operands = vec![x];
        elements.invocations(count / (n * n));
        let params = Params::new().set("count", count / (n * n)).set("n", n).set("width", elements.width);
        elements.call(lowering, Kernel::Of(KernelOpKind::Inverse), params, count, 2 * count * n);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::inverse;

    #[test]
    fn rows_are_exchanged() {
        assert_eq!(inverse(&[0., 2., 4., 0.], 2), [0., 0.25, 0.5, 0.]);
    }
}
