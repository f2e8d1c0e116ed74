//! Determinants of square matrices, by elimination with the largest pivot of every column.
//!
//! One invocation a matrix, in a copy of it: it deliberately takes at most [`MAX_ROWS`] rows, since a third
//! of rows³ rounds of loops are needed, which the CPU adapter ends too soon beyond.

use crate::graph::constant::Dtype;
use crate::graph::kernel_op::{Det, KernelOpKind, KernelOperator, Operands};
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
const MAX_ROWS: usize = 48;

impl OwnKernel for Det {
    const KERNEL: KernelRow = row(body!("det"), Hook::None, &["out", "x"], Rounds::of(&["n"], |p| rounds(p[0])))
        .shared(&[SHARED_ELIMINATION, SHARED_FLOATS, SHARED_EACH]);
}

impl Det {
    /// ONNX's Det.
    pub fn from_onnx(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
        let x = s.needed(0)?;
        let y = s.kernel_op(Self, &[x]);
        s.give(0, &y);
        Ok(Rewritten::Replaced)
    }
}

/// Rounds for a matrix of `n` rows: for every column its pivot, an exchange, and the rows and columns that are left.
fn rounds(n: u64) -> u64 {
    let column = |left: u64| 1 + once(left) + once(left + 1) + nest(&[left, left]);
    once((0..n).map(column).sum())
}

/// The determinant of one matrix.
fn determinant(mut a: Vec<f64>, n: usize) -> f64 {
    let mut product = 1.0;
    for k in 0..n {
        let pivot = (k..n).fold(k, |best, r| if a[r * n + k].abs() > a[best * n + k].abs() { r } else { best });
        if a[pivot * n + k] == 0.0 {
            return 0.0;
        }
        if pivot != k {
            (0..n).for_each(|c| a.swap(pivot * n + c, k * n + c));
            product = -product;
        }
        product *= a[k * n + k];
        for r in k + 1..n {
            let factor = a[r * n + k] / a[k * n + k];
            (k..n).for_each(|c| a[r * n + c] -= factor * a[k * n + c]);
        }
    }
    product
}

impl KernelOperator for Det {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let [(x, _)] = operands.exactly("1")?;
        operands.typed(0, Dtype::F32)?;
        let square = x.len() >= 2 && x[x.len() - 1] == x[x.len() - 2];
        operands.fits(0, square && x[x.len() - 1] <= MAX_ROWS, "square matrices of at most 48 rows")?;
        Ok((x[..x.len() - 2].to_vec(), Dtype::F32))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let (x, n) = (operands[0], operands[0].shape[operands[0].shape.len() - 1]);
        let matrix = |m: usize| (0..n * n).map(|i| x.value(m * n * n + i)).collect();
        let count = shape.iter().product();
        Tensor::from_f32(shape.to_vec(), (0..count).map(|m| determinant(matrix(m), n) as f32))
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        Some(vec![Some(axis)])
    }
}

impl LowerKernelOp for Det {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let Some(mut elements) = Elements::of(lowering, id) else { return Ok(()) };
        let x = copied(lowering, &elements.operands[0]);
        let (count, n) = (elements.count, x.shape[x.shape.len() - 1]);
        elements.operands = vec![x];
        let params = Params::new().set("count", count).set("n", n).set("width", elements.width);
        elements.call(lowering, Kernel::Of(KernelOpKind::Det), params, count * n * n, count * n * n * n);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::determinant;

    #[test]
    fn rows_are_exchanged_and_singular_matrices_have_none() {
        assert_eq!(determinant(vec![0., 2., 3., 0.], 2), -6.);
        assert_eq!(determinant(vec![1., 2., 2., 4.], 2), 0.);
        assert_eq!(determinant(vec![], 0), 1.);
    }
}
