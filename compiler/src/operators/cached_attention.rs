//! Attention to the part of a cache that is there.
//!
//! How many keys there are is an operand, read when the kernel runs: it walks only these, so that one plan serves every length up
//! to the cache's capacity. A number beyond the keys is as good as all, one below 0 hides some: both say what is seen, and are no
//! indices. Heads of keys are shared without copies. New keys are put into the cache before (`tensor_scatter.rs`).

use crate::cost::{Cost, OperatorClass};
use crate::graph::constant::{Constant, Dtype};
use crate::graph::kernel_op::{CachedAttention, KernelOpKind, KernelOperator, Operands};
use crate::graph::tensor::{Tensor, offset, strides};
use crate::graph::{NodeId, ShapeError};
use crate::kernels::params::Params;
use crate::kernels::rounds::{Rounds, once};
use crate::kernels::{Hook, Kernel, KernelRow, OwnKernel, SHARED_QKV, body, row};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::ops::elements::Elements;
use crate::lower::ops::kernel_op::LowerKernelOp;
use crate::lower::ops::strided::workgroups;
use std::ops::Range;

/// Largest size of a head.
const MAX_SIZE: usize = 256;

/// Keys of a tile.
const TILE: u64 = 256;

impl OwnKernel for CachedAttention {
    const KERNEL: KernelRow = row(
        body!("cached_attention"),
        Hook::None,
        &["out", "q", "k", "v", "places", "sinks", "bias"],
        Rounds::of(&["keys", "head_dim"], |p| {
            let tile = once(p[1].div_ceil(4)) + once(15) + once(16) + once(TILE / 16);
            once(p[0].div_ceil(TILE).saturating_mul(tile)) + once(4)
        }),
    )
    .shared(&[SHARED_QKV])
    .class(OperatorClass::Hierarchical);
}

impl CachedAttention {
    /// Whether heads may have this size.
    pub const fn takes(size: usize) -> bool {
        size > 0 && size.is_multiple_of(4) && size <= MAX_SIZE
    }

    /// The keys that are seen up to this one.
    fn seen(&self, end: i64, capacity: usize) -> Range<usize> {
        let end = end.clamp(0, capacity as i64) as usize;
        self.window.map_or(0, |window| end.saturating_sub(window))..end
    }

    fn scale(&self, size: usize) -> f32 {
        self.scale.unwrap_or_else(|| 1.0 / (size as f32).sqrt())
    }

    /// The optional operands: sinks and bias.
    fn optional<'a, T>(&self, operands: &'a [T]) -> [Option<&'a T>; 2] {
        let mut rest = operands.iter().skip(4);
        [self.sinks, self.bias].map(|given| if given { rest.next() } else { None })
    }

    /// One row of the result.
    fn row(&self, operands: &[&Tensor], [batch, head, row]: [usize; 3]) -> Vec<f32> {
        let [q, k, v, places, ..] = operands else { unreachable!("inference counts the operands") };
        let [sinks, bias] = self.optional(operands);
        let size = q.shape[3];
        let shared = (batch * k.shape[1] + head / (q.shape[1] / k.shape[1])) * k.shape[2];
        let capacity = bias.map_or(k.shape[2], |bias| bias.shape[3].min(k.shape[2]));
        let q_row = ((batch * q.shape[1] + head) * q.shape[2] + row) * size;
        let own = if self.causal { row + 1 } else { q.shape[2] };
        let seen = self.seen(i64::from(places.words[batch] as i32) + own as i64, capacity);
        let bias_strides = bias.map(|bias| broadcast_strides(&bias.shape, &strides(&bias.shape)));
        let score = |key: usize| {
            let product: f64 = (0..size).map(|d| q.value(q_row + d) * k.value((shared + key) * size + d)).sum();
            let scaled = product * f64::from(self.scale(size));
            let capped = self.softcap.map_or(scaled, |cap| f64::from(cap) * (scaled / f64::from(cap)).tanh());
            let more = bias.zip(bias_strides.as_ref());
            capped + more.map_or(0.0, |(bias, strides)| bias.value(offset(&[batch, head, row, key], strides)))
        };
        let scores: Vec<f64> = seen.clone().map(score).collect();
        let sink = sinks.map(|sinks| sinks.value(head));
        let top = scores.iter().copied().chain(sink).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
        let total: f64 = weights.iter().sum::<f64>() + sink.map_or(0.0, |sink| (sink - top).exp());
        let element = |d: usize| -> f64 {
            let terms = seen.clone().zip(&weights);
            terms.map(|(key, weight)| weight * v.value((shared + key) * size + d)).sum::<f64>()
        };
        let hidden = top == f64::NEG_INFINITY;
        (0..size).map(|d| if hidden { 0.0 } else { (element(d) / total) as f32 }).collect()
    }
}

/// Strides along which an axis of size 1 stands still.
fn broadcast_strides<T: Copy + Default>(shape: &[usize], strides: &[T]) -> Vec<T> {
    shape.iter().zip(strides).map(|(size, stride)| if *size == 1 { T::default() } else { *stride }).collect()
}

impl KernelOperator for CachedAttention {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let list = operands.list();
        let [(q, dtype), (k, _), (v, _), (places, _), ..] = *list else {
            return Err(ShapeError::OperandCount { op: "CachedAttention", expected: "4 to 6", found: list.len() });
        };
        if list.len() != 4 + usize::from(self.sinks) + usize::from(self.bias) {
            return Err(ShapeError::OperandCount { op: "CachedAttention", expected: "4 to 6", found: list.len() });
        }
        let [sinks, bias] = self.optional(list);
        (0..3).try_for_each(|position| operands.typed(position, Dtype::F32))?;
        operands.typed(3, Dtype::I32)?;
        operands.fits(0, q.len() == 4, "batch, heads, rows and elements")?;
        operands.fits(0, Self::takes(q[3]), "heads of a multiple of 4 elements, at most 256")?;
        let shared = k.len() == 4 && k[1] > 0 && q[1].is_multiple_of(k[1]);
        operands.fits(
            1,
            shared && k[0] == q[0] && k[3] == q[3],
            "the queries' batch and size, and a divisor of their heads",
        )?;
        operands.fits(2, v == k, "the shape of the keys")?;
        operands.fits(3, places == [q[0]], "one place a batch entry")?;
        if let Some((sinks, _)) = sinks {
            operands.typed(4, Dtype::F32)?;
            operands.fits(4, *sinks == [q[1]], "one sink a head")?;
        }
        if let Some((bias, _)) = bias {
            let position = list.len() - 1;
            operands.typed(position, Dtype::F32)?;
            let rows = bias.len() == 4 && bias[3] > 0 && (0..3).all(|axis| [1, q[axis]].contains(&bias[axis]));
            operands.fits(position, rows, "batch, heads, rows, each of which may be 1, and keys")?;
        }
        Ok((q.to_vec(), dtype))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let [batches, heads, rows, _] = *shape else { unreachable!("inference counts the axes") };
        let places = (0..batches * heads * rows).map(|i| [i / rows / heads, i / rows % heads, i % rows]);
        Tensor::from_f32(shape.to_vec(), places.flat_map(|place| self.row(operands, place)))
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        let mut axes = vec![Some(0); 4];
        axes.extend(self.sinks.then_some(None));
        // A bias that is one for the whole batch is not cut.
        (axis == 0 && !self.bias).then_some(axes)
    }
}

impl LowerKernelOp for CachedAttention {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let Some(elements) = Elements::of(lowering, id) else { return Ok(()) };
        let [q, k, v, places, ..] = elements.operands.as_slice() else { unreachable!("inference counts the operands") };
        let optional = self.optional(&elements.operands).map(|view| view.cloned());
        let keys = optional[1].as_ref().map_or(k.shape[2], |bias| bias.shape[3].min(k.shape[2]));
        let [sinks, bias] =
            optional.map(|view| view.unwrap_or_else(|| lowering.resident(&Constant::from_f32(vec![1], &[0.0]))));
        let bias_stride = if self.bias { broadcast_strides(&bias.shape, &bias.strides) } else { vec![0; 4] };
        let [batch, heads, rows, size] = [0, 1, 2, 3].map(|axis| q.shape[axis]);
        let params = Params::new()
            .set("rows", rows)
            .set("keys", keys)
            .set("head_dim", size)
            .set("heads", heads)
            .set("shared_by", heads / k.shape[1])
            .set("window", self.window.unwrap_or(0))
            .set("has_sink", self.sinks)
            .set("causal", self.causal)
            .set("has_bias", self.bias)
            .set("bias_offset", bias.offset)
            .set("bias_stride", bias_stride.as_slice())
            .set("scale", self.scale(size))
            .set("softcap", self.softcap.unwrap_or(0.0))
            .set("q_offset", q.offset)
            .set("k_offset", k.offset)
            .set("v_offset", v.offset)
            .set("places_offset", places.offset)
            .set("place_stride", places.strides[0])
            .set("sink_offset", sinks.offset)
            .set("sink_stride", sinks.strides[0])
            .set("q_stride", q.strides.as_slice())
            .set("k_stride", k.strides.as_slice())
            .set("v_stride", v.strides.as_slice());
        let scores = (batch * heads * rows * k.shape[2]) as f64;
        lowering.call(
            Call::of(Kernel::Of(KernelOpKind::CachedAttention), elements.out.tensor)
                .params(params)
                .reads([q.tensor, k.tensor, v.tensor, places.tensor, sinks.tensor, bias.tensor])
                .over(workgroups([rows, heads, batch]))
                .cost(Cost {
                    class: OperatorClass::Hierarchical,
                    flops: 4.0 * scores * size as f64,
                    bytes: 8.0 * (elements.count + k.len()) as f64,
                }),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::CachedAttention;
    use crate::graph::constant::Dtype;
    use crate::graph::kernel_op::KernelOperator;
    use crate::graph::tensor::Tensor;

    const PLAIN: CachedAttention =
        CachedAttention { causal: true, sinks: false, bias: false, scale: Some(0.0), softcap: None, window: None };

    /// All scores are 0: a result is the mean of the values that are seen, which are their keys' numbers.
    fn means(op: &CachedAttention, places: u32, sink: Option<f32>) -> Vec<f32> {
        let op = CachedAttention { sinks: sink.is_some(), ..op.clone() };
        let q = Tensor::from_f32(vec![1, 2, 2, 4], [1.0; 16]);
        let k = Tensor::from_f32(vec![1, 1, 6, 4], [1.0; 24]);
        let v = Tensor::from_f32(vec![1, 1, 6, 4], (0..24).map(|e| (e / 4) as f32));
        let places = Tensor { shape: vec![1], dtype: Dtype::I32, words: vec![places] };
        let sinks = sink.map(|sink| Tensor::from_f32(vec![2], [sink, 0.0]));
        let operands: Vec<&Tensor> = [&q, &k, &v, &places].into_iter().chain(&sinks).collect();
        op.evaluate(&operands, &q.shape).to_f32().into_iter().step_by(4).collect()
    }

    #[test]
    fn a_query_sees_what_is_there_up_to_itself() {
        assert_eq!(means(&PLAIN, 0, None), [0.0, 0.5, 0.0, 0.5]);
        assert_eq!(means(&PLAIN, 4, None), [2.0, 2.5, 2.0, 2.5]);
        let window = CachedAttention { window: Some(2), ..PLAIN };
        assert_eq!(means(&window, 4, None), [3.5, 4.5, 3.5, 4.5]);
        assert_eq!(means(&PLAIN, 4, Some(f32::ln(5.0))), [1.0, 15.0 / 11.0, 10.0 / 6.0, 15.0 / 7.0]);
        assert_eq!(means(&PLAIN, -3_i32 as u32, None), [0.0; 4]);
        let all = CachedAttention { causal: false, ..PLAIN };
        assert_eq!(means(&all, 0, None), [0.5; 4]);
    }
}
