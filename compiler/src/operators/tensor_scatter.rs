//! A cache with new entries along one axis, where each batch entry's writing place says.
//!
//! Places past the end are left out, or with `circular` go on at the start. The entries are written into a copy of the cache; a cache
//! that is a state of which this is the update is written where it lies: then only the new entries move.

use crate::cost::OperatorClass;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::kernel_op::{KernelOpKind, KernelOperator, Operands, TensorScatter};
use crate::graph::tensor::{Tensor, for_each_index, offset, strides};
use crate::graph::{NodeId, ShapeError};
use crate::import::reason::Reason;
use crate::import::rewrite::outcome::Rewritten;
use crate::import::rewrite::steps::Steps;
use crate::kernels::params::Params;
use crate::kernels::rounds::Rounds;
use crate::kernels::{Hook, Kernel, KernelRow, OwnKernel, SHARED_EACH, body, row};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::ops::copy::{copied, dense};
use crate::lower::ops::kernel_op::LowerKernelOp;
use crate::lower::ops::strided::{cost, linear};
use std::ops::RangeInclusive;

impl OwnKernel for TensorScatter {
    const KERNEL: KernelRow =
        row(body!("append"), Hook::None, &["out", "update", "places"], Rounds::NONE).shared(&[SHARED_EACH]);
}

impl TensorScatter {
    /// ONNX's TensorScatter.
    pub fn from_onnx(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
        let mut operands = vec![s.needed(0)?, s.needed(1)?];
        operands.extend(s.operand(2));
        let circular = match s.text_attribute("mode").unwrap_or("linear") {
            "linear" => false,
            "circular" => true,
            other => return Err(Reason::form("mode {}", [other.into()])),
        };
        let axis = s.int_attribute("axis").unwrap_or(-2);
        let rank = s.known.rank(operands[0]).map(|(rank, _)| rank as i64);
        let from_end = match rank {
            _ if axis < 0 => -axis,
            Some(rank) => rank - axis,
            None => return Err(Reason::form("axis {} of a tensor whose number of axes is not known", [axis.into()])),
        };
        let axis_from_end = usize::try_from(from_end).map_err(|_| Reason::form("axis {}", [axis.into()]))?;
        let y = s.kernel_op(Self { axis_from_end, circular }, &operands);
        s.give(0, &y);
        Ok(Rewritten::Replaced)
    }

    /// The place in the update of an element `at` along the axis; `None` for one of the cache.
    fn source(&self, at: usize, place: i32, size: usize, length: usize) -> Option<usize> {
        let distance = at as i64 - i64::from(place);
        let distance = if self.circular { distance.rem_euclid(size as i64) } else { distance };
        usize::try_from(distance).ok().filter(|d| *d < length)
    }
}

impl KernelOperator for TensorScatter {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let ([(cache, dtype), (update, _)], places) = operands.optional_last("2 or 3")?;
        operands.typed(1, dtype)?;
        let rank = cache.len();
        operands.fits(0, self.axis_from_end < rank, "the axis is behind the batch")?;
        let axis = rank - self.axis_from_end;
        let fits = |i: usize| if i == axis { update[i] <= cache[i] } else { update[i] == cache[i] };
        operands.fits(1, update.len() == rank && (0..rank).all(fits), "the cache's, no longer along the axis")?;
        if let Some((places, _)) = places {
            operands.typed(2, Dtype::I32)?;
            operands.fits(2, places == [cache[0]], "one place a batch entry")?;
        }
        Ok((cache.to_vec(), dtype))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let (cache, update) = (operands[0], operands[1]);
        let axis = shape.len() - self.axis_from_end;
        let update_strides = strides(&update.shape);
        let mut words = Vec::with_capacity(cache.words.len());
        for_each_index(shape, |index| {
            let place = operands.get(2).map_or(0, |places| places.words[index[0]] as i32);
            words.push(match self.source(index[axis], place, shape[axis], update.shape[axis]) {
                Some(at) => {
                    let mut index = index.to_vec();
                    index[axis] = at;
                    update.words[offset(&index, &update_strides)]
                }
                None => cache.words[words.len()],
            });
        });
        Tensor { shape: shape.to_vec(), dtype: cache.dtype, words }
    }

    fn indices(&self, operands: &[Vec<usize>]) -> Vec<(usize, RangeInclusive<i64>)> {
        let along =
            |operand: &Vec<usize>| operand.len().checked_sub(self.axis_from_end).map(|axis| operand[axis] as i64);
        match (operands, self.circular) {
            ([cache, update, _], false) => {
                let last = along(cache).zip(along(update)).map(|(size, length)| size - length);
                last.map(|last| (2, 0..=last)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        (axis == 0).then(|| vec![Some(0); 3])
    }
}

impl LowerKernelOp for TensorScatter {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let graph = lowering.graph();
        let operands = graph.operands(id);
        let cache = lowering.view(operands[0]);
        let out = if graph.updates_in_place(id) { cache } else { copied(lowering, &cache) };
        lowering.set_view(id, out.clone());
        let update = lowering.view(operands[1]);
        let update = dense(lowering, &update);
        if update.is_empty() {
            return Ok(());
        }
        let (places, stride) = match operands.get(2) {
            Some(places) => {
                let places = lowering.view(*places);
                let stride = places.strides[0];
                (places, stride)
            }
            None => (lowering.resident(&Constant::from_i32(vec![1], &[0])), 0),
        };
        let (count, axis) = (update.len(), out.shape.len() - self.axis_from_end);
        let (workgroups, width) = linear(count);
        let params = Params::new()
            .set("count", count)
            .set("inner", out.shape[axis + 1..].iter().product::<usize>())
            .set("width", width)
            .set("circular", self.circular)
            .set("size", out.shape[axis])
            .set("length", update.shape[axis])
            .set("lines", out.shape[1..axis].iter().product::<usize>())
            .set("update_offset", update.offset)
            .set("places_offset", places.offset)
            .set("place_stride", stride);
        lowering.call(
            Call::of(Kernel::Of(KernelOpKind::TensorScatter), out.tensor)
                .params(params)
                .reads([update.tensor, places.tensor])
                .over(workgroups)
                .cost(cost(OperatorClass::Elemental, count, count, 0)),
        );
        Ok(())
    }
}
