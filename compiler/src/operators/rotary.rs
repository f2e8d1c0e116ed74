//! Pairs of elements turned by the angles of their position.
//!
//! It is the rotary part of ONNX Runtime's GroupQueryAttention and RotaryEmbedding (`import/rewrite/language.rs`). The tables are
//! operands, so that they may be computed. A position outside of them is an error of the caller, which the run reports.

use crate::graph::constant::Dtype;
use crate::graph::kernel_op::{KernelOpKind, KernelOperator, Operands, Rotary};
use crate::graph::tensor::Tensor;
use crate::graph::{NodeId, ShapeError};
use crate::kernels::params::Params;
use crate::kernels::rounds::Rounds;
use crate::kernels::{Hook, Kernel, KernelRow, OwnKernel, SHARED_EACH, SHARED_FLOATS, SHARED_ROWS, body, row};
use crate::lower::context::Lowering;
use crate::lower::error::LowerError;
use crate::lower::ops::copy::dense;
use crate::lower::ops::elements::Elements;
use crate::lower::ops::kernel_op::LowerKernelOp;
use std::ops::RangeInclusive;

impl OwnKernel for Rotary {
    const KERNEL: KernelRow =
        row(body!("rotary"), Hook::None, &["out", "x", "cos_table", "sin_table", "positions"], Rounds::NONE).shared(&[
            SHARED_FLOATS,
            SHARED_EACH,
            SHARED_ROWS,
        ]);
}

impl Rotary {
    /// The place of an element's angle among those of its row, and of the other of its pair; whether it is the second.
    const fn pair(&self, d: usize, half: usize) -> (usize, usize, bool) {
        match (self.interleaved, d >= half) {
            (true, _) => (d / 2, d ^ 1, d % 2 == 1),
            (false, false) => (d, d + half, false),
            (false, true) => (d - half, d - half, true),
        }
    }
}

impl KernelOperator for Rotary {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let [(x, dtype), (cos, _), (sin, _), (positions, _)] = operands.exactly("4")?;
        (0..3).try_for_each(|position| operands.typed(position, Dtype::F32))?;
        operands.typed(3, Dtype::I32)?;
        operands.fits(0, x.len() == 4, "batch, heads, rows and elements")?;
        operands.fits(
            1,
            cos.len() == 2 && cos[0] > 0 && 2 * cos[1] <= x[3],
            "angles of at most half of a row's elements",
        )?;
        operands.fits(2, sin == cos, "the shape of the cosines")?;
        operands.fits(3, positions == [x[0], x[2]], "a position a row")?;
        Ok((x.to_vec(), dtype))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let [x, cos, sin, positions] = operands else { unreachable!("inference counts the operands") };
        let (table_rows, half) = (cos.shape[0], cos.shape[1]);
        let (rows, size) = (shape[2], shape[3]);
        let value = |e: usize| {
            let (line, d) = (e / size, e % size);
            if d >= 2 * half {
                return x.value(e) as f32;
            }
            let (batch, at) = (line / (shape[1] * rows), line % rows);
            let position = positions.words[batch * rows + at] as i32;
            let (i, partner, second) = self.pair(d, half);
            let entry = position.clamp(0, table_rows as i32 - 1) as usize * half + i;
            let turned = x.value(line * size + partner) * sin.value(entry);
            (x.value(e) * cos.value(entry) + if second { turned } else { -turned }) as f32
        };
        Tensor::from_f32(shape.to_vec(), (0..x.words.len()).map(value))
    }

    fn indices(&self, operands: &[Vec<usize>]) -> Vec<(usize, RangeInclusive<i64>)> {
        operands.get(1).and_then(|cos| cos.first()).map(|rows| (3, 0..=*rows as i64 - 1)).into_iter().collect()
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        match axis {
            0 => Some(vec![Some(0), None, None, Some(0)]),
            1 => Some(vec![Some(1), None, None, None]),
            2 => Some(vec![Some(2), None, None, Some(1)]),
            _ => None,
        }
    }
}

impl LowerKernelOp for Rotary {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let Some(mut elements) = Elements::of(lowering, id) else { return Ok(()) };
        let (x, positions) = (elements.operands[0].clone(), elements.operands[3].clone());
        let (cos, sin) = (dense(lowering, &elements.operands[1]), dense(lowering, &elements.operands[2]));
        let params = Params::new()
            .set("count", elements.count)
            .set("width", elements.width)
            .set("heads", x.shape[1])
            .set("rows", x.shape[2])
            .set("head_dim", x.shape[3])
            .set("half", cos.shape[1])
            .set("table_rows", cos.shape[0])
            .set("interleaved", self.interleaved)
            .set("x_offset", x.offset)
            .set("cos_offset", cos.offset)
            .set("sin_offset", sin.offset)
            .set("positions_offset", positions.offset)
            .set("x_stride", x.strides.as_slice())
            .set("position_batch", positions.strides[0])
            .set("position_row", positions.strides[1]);
        elements.operands = vec![x, cos, sin, positions];
        let count = elements.count;
        elements.call(lowering, Kernel::Of(KernelOpKind::Rotary), params, 2 * count, 3 * count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Rotary;
    use crate::graph::constant::Dtype;
    use crate::graph::kernel_op::KernelOperator;
    use crate::graph::tensor::Tensor;

    #[test]
    fn pairs_are_neighbours_or_half_a_row_apart() {
        let x = Tensor::from_f32(vec![1, 1, 1, 5], [1., 2., 3., 4., 9.]);
        let cos = Tensor::from_f32(vec![2, 2], [1., 1., 0., 0.5]);
        let sin = Tensor::from_f32(vec![2, 2], [0., 0., 1., 0.5]);
        let positions = Tensor { shape: vec![1, 1], dtype: Dtype::I32, words: vec![1] };
        let turned = |interleaved| Rotary { interleaved }.evaluate(&[&x, &cos, &sin, &positions], &x.shape).to_f32();
        assert_eq!(turned(false), [-3., -1., 1., 3., 9.]);
        assert_eq!(turned(true), [-2., 1., -0.5, 3.5, 9.]);
    }
}
