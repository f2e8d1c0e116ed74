//! Turns what hides scores into a tensor that is added to them.
//!
//! A replaced score becomes a score plus −1e30. After the softmax both weigh exactly 0, as long as one score of the row is
//! kept; constant masks are checked for that. (In a row without any, a finite replacement gives equal weights, and so does
//! the sum, because a score vanishes beside 1e30.) −1e30 leaves room: −3.4e38 plus a score may overflow.

use super::Axes;
use super::scores::{Mask, MaskKind};
use crate::graph::constant::{Constant, Dtype};
use crate::graph::interpret::for_each_index;
use crate::graph::op::Op;
use crate::graph::origin::OriginSet;
use crate::graph::pointwise::{Instruction, Literal, Operand, Pointwise};
use crate::graph::{Graph, NodeId};
use crate::optimize::{OptimizeError, add};
use std::collections::BTreeMap;

/// What hides a score.
const HIDDEN: f32 = -1e30;

/// A replacement that is not smaller than this may be a value that matters.
const LARGEST_FILL: f32 = -1e9;

/// The labels of a mask's axes, which broadcasts to a tensor with `axes`.
pub fn axes(graph: &Graph, mask: NodeId, axes: &Axes) -> Axes {
    graph.node(mask).shape.iter().zip(axes).map(|(dim, l)| if *dim == 1 { None } else { *l }).collect()
}

/// The mask as an additive one, of the rank that it had; `None` when it is not equivalent to one.
pub fn additive(graph: &mut Graph, mask: &Mask, keys: u8, origin: OriginSet) -> Result<Option<NodeId>, OptimizeError> {
    let key_axis = mask.axes.iter().position(|l| *l == Some(keys)).expect("scores have the axis of the softmax");
    match mask.kind {
        MaskKind::Additive(node) => {
            let Some(constant) = graph.constant(node) else { return Ok(Some(node)) };
            let values = constant.to_f32();
            if values.iter().all(|v| *v >= HIDDEN) {
                return Ok(Some(node));
            }
            let hidden: Vec<bool> = values.iter().map(|v| *v < HIDDEN).collect();
            let constant = constant.clone();
            if !every_row_keeps_one(&constant, &hidden, key_axis) {
                return Ok(None);
            }
            let clamped: Vec<f32> = values.iter().map(|v| v.max(HIDDEN)).collect();
            let own = graph.node(node).origin;
            Ok(Some(graph.add_constant(Constant::from_f32(constant.shape, &clamped), own)))
        }
        MaskKind::Where { fill, .. } if fill > LARGEST_FILL => Ok(None),
        MaskKind::Where { condition, keep, fill } => {
            let fill = fill.max(HIDDEN);
            if let Some(constant) = graph.constant(condition) {
                let hidden: Vec<bool> =
                    (0..constant.len()).map(|i| (constant.device_word_at(i) != 0) != keep).collect();
                if !every_row_keeps_one(constant, &hidden, key_axis) {
                    return Ok(None);
                }
                let values: Vec<f32> = hidden.iter().map(|h| if *h { fill } else { 0.0 }).collect();
                let additive = Constant::from_f32(constant.shape.clone(), &values);
                let own = graph.node(condition).origin;
                return Ok(Some(graph.add_constant(additive, own)));
            }
            let (then, otherwise) = if keep { (0.0, fill) } else { (fill, 0.0) };
            let literal = |v: f32| Instruction::Literal(Literal::F32(v.to_bits()));
            let choice = Instruction::Select {
                condition: Operand::Input(0),
                then: Operand::Result(0),
                otherwise: Operand::Result(1),
            };
            let program =
                Pointwise { inputs: vec![Dtype::Bool], instructions: vec![literal(then), literal(otherwise), choice] };
            add(graph, Op::Pointwise(program), &[condition], origin).map(Some)
        }
    }
}

/// Whether every row along the key axis has an element that is not hidden.
fn every_row_keeps_one(constant: &Constant, hidden: &[bool], key_axis: usize) -> bool {
    let mut kept: BTreeMap<Vec<usize>, bool> = BTreeMap::new();
    let mut elements = hidden.iter();
    for_each_index(&constant.shape, |index| {
        let mut row = index.to_vec();
        row[key_axis] = 0;
        let keeps = elements.next().is_some_and(|h| !h);
        *kept.entry(row).or_default() |= keeps;
    });
    kept.values().all(|k| *k)
}
