//! Axes that nodes name, held against the ranks that inference finds.
//!
//! tract takes some axes outside the rank and computes something; ONNX says that they are errors. What every node of the file
//! says about axes is noted before rewrites take the node apart, as claims about the rank of an operand. When inference is done,
//! or has failed, the claims whose operand has a known rank are checked. Axes that are computed are deliberately not looked at.

use super::rewrite::steps::Known;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{InferenceModel, OutletId};
use tract_onnx::tract_hir::internal::Factoid;

/// Where a node says axes.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// An integer or a list of them as an attribute.
    Attribute(&'static str),
    /// A constant operand.
    Operand(usize),
}

/// Which axes a tensor of a rank has for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    /// Those of the tensor, from either end.
    Own,
    /// Those, and the one behind the last.
    OrEnd,
    /// Those of a tensor with as many more.
    New,
    /// Every axis once, from the front.
    Permutation,
    /// From the front.
    Leading,
}

use Place::{Attribute, Operand};

/// What operators say about axes of their first operand.
const CLAIMS: &[(&str, &[Place], Range)] = &[
    ("ArgMax", &[Attribute("axis")], Range::Own),
    ("ArgMin", &[Attribute("axis")], Range::Own),
    ("CenterCropPad", &[Attribute("axes")], Range::Own),
    ("Compress", &[Attribute("axis")], Range::Own),
    ("Concat", &[Attribute("axis")], Range::Own),
    ("CumProd", &[Operand(1)], Range::Own),
    ("CumSum", &[Operand(1)], Range::Own),
    ("DFT", &[Attribute("axis"), Operand(2)], Range::Own),
    ("Flatten", &[Attribute("axis")], Range::OrEnd),
    ("Gather", &[Attribute("axis")], Range::Own),
    ("GatherElements", &[Attribute("axis")], Range::Own),
    ("GatherND", &[Attribute("batch_dims")], Range::Leading),
    ("Hardmax", &[Attribute("axis")], Range::Own),
    ("LayerNormalization", &[Attribute("axis")], Range::Own),
    ("LogSoftmax", &[Attribute("axis")], Range::Own),
    ("LpNormalization", &[Attribute("axis")], Range::Own),
    ("MeanVarianceNormalization", &[Attribute("axes")], Range::Own),
    ("OneHot", &[Attribute("axis")], Range::New),
    ("Pad", &[Operand(3)], Range::Own),
    ("RMSNormalization", &[Attribute("axis")], Range::Own),
    ("ReduceL1", &[Attribute("axes"), Operand(1)], Range::Own),
    ("ReduceL2", &[Attribute("axes"), Operand(1)], Range::Own),
    ("ReduceLogSum", &[Attribute("axes"), Operand(1)], Range::Own),
    ("ReduceLogSumExp", &[Attribute("axes"), Operand(1)], Range::Own),
    ("ReduceMax", &[Attribute("axes"), Operand(1)], Range::Own),
    ("ReduceMean", &[Attribute("axes"), Operand(1)], Range::Own),
    ("ReduceMin", &[Attribute("axes"), Operand(1)], Range::Own),
    ("ReduceProd", &[Attribute("axes"), Operand(1)], Range::Own),
    ("ReduceSum", &[Attribute("axes"), Operand(1)], Range::Own),
    ("ReduceSumSquare", &[Attribute("axes"), Operand(1)], Range::Own),
    ("Resize", &[Attribute("axes")], Range::Own),
    ("ReverseSequence", &[Attribute("batch_axis"), Attribute("time_axis")], Range::Own),
    ("Scatter", &[Attribute("axis")], Range::Own),
    ("ScatterElements", &[Attribute("axis")], Range::Own),
    ("SimplifiedLayerNormalization", &[Attribute("axis")], Range::Own),
    ("Slice", &[Attribute("axes"), Operand(3)], Range::Own),
    ("Softmax", &[Attribute("axis")], Range::Own),
    ("Split", &[Attribute("axis")], Range::Own),
    ("Squeeze", &[Attribute("axes"), Operand(1)], Range::Own),
    ("TensorScatter", &[Attribute("axis")], Range::Own),
    ("TopK", &[Attribute("axis")], Range::Own),
    ("Transpose", &[Attribute("perm")], Range::Permutation),
    ("Unique", &[Attribute("axis")], Range::Own),
    ("Unsqueeze", &[Attribute("axes"), Operand(1)], Range::New),
];

/// What one node says about axes of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    node: String,
    op: String,
    value: String,
    axes: Vec<i64>,
    range: Range,
}

/// Axes that an operand does not have, or that are named twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}`: {op} along {axes:?} of `{value}`, which has {rank} axes")]
pub struct Misplaced {
    /// The node.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// What it says.
    pub axes: Vec<i64>,
    /// The operand.
    pub value: String,
    /// The number of its axes.
    pub rank: usize,
}

/// What nodes say.
pub fn claims(nodes: &[NodeProto], known: &Known) -> Vec<Claim> {
    nodes.iter().flat_map(|node| claims_of(node, known)).collect()
}

fn claims_of(node: &NodeProto, known: &Known) -> Vec<Claim> {
    let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
    let Some((_, places, range)) = CLAIMS.iter().find(|(op, ..)| standard && *op == node.op_type) else {
        return vec![];
    };
    let declared = |place: &Place| match *place {
        Attribute(name) => {
            let found = node.attribute.iter().find(|attribute| attribute.name == name)?;
            Some(if found.ints.is_empty() { vec![found.i] } else { found.ints.clone() })
        }
        Operand(position) => known.integers(node.input.get(position)?).map(<[i64]>::to_vec),
    };
    let Some(value) = node.input.first() else { return vec![] };
    let claim = |axes: Vec<i64>| {
        let (node, op, value) = (node.name.clone(), node.op_type.clone(), value.clone());
        Claim { node, op, value, axes, range: *range }
    };
    places.iter().filter_map(declared).map(claim).collect()
}

impl Claim {
    fn holds(&self, rank: usize) -> bool {
        let rank = rank as i64;
        let (from, to) = match self.range {
            Range::Own => (-rank, rank),
            Range::OrEnd => (-rank, rank + 1),
            Range::New => (-rank - self.axes.len() as i64, rank + self.axes.len() as i64),
            Range::Permutation | Range::Leading => (0, rank),
        };
        let span = if self.range == Range::OrEnd { rank } else { to };
        let inside = self.axes.iter().all(|axis| (from..to).contains(axis));
        let places: BTreeSet<i64> = self.axes.iter().map(|axis| if *axis < 0 { axis + span } else { *axis }).collect();
        let whole = self.range != Range::Permutation || self.axes.len() as i64 == rank;
        inside && whole && places.len() == self.axes.len()
    }
}

/// Claims that do not hold, among those about values whose rank the model knows.
pub fn misplaced(claims: &[Claim], model: &InferenceModel) -> Vec<Misplaced> {
    let mut ranks: BTreeMap<&str, usize> = BTreeMap::new();
    for node in model.nodes() {
        for (slot, outlet) in node.outputs.iter().enumerate() {
            let name = model.outlet_label(OutletId::new(node.id, slot)).or((slot == 0).then_some(node.name.as_str()));
            let rank = outlet.fact.shape.rank().concretize().and_then(|rank| usize::try_from(rank).ok());
            ranks.extend(name.zip(rank));
        }
    }
    let wrong = |claim: &&Claim| ranks.get(claim.value.as_str()).is_some_and(|rank| !claim.holds(*rank));
    let reported = |claim: &Claim| {
        let Claim { node, op, value, axes, .. } = claim.clone();
        let rank = ranks[value.as_str()];
        Misplaced { node, op, axes, value, rank }
    };
    claims.iter().filter(wrong).map(reported).collect()
}

#[cfg(test)]
mod tests {
    use super::{CLAIMS, Claim, Range};
    use crate::import::support::OPERATORS;

    fn holds(range: Range, axes: &[i64], rank: usize) -> bool {
        let name = String::new;
        Claim { node: name(), op: name(), value: name(), axes: axes.to_vec(), range }.holds(rank)
    }

    #[test]
    fn axes_are_within_the_rank_and_distinct() {
        for (range, axes, rank, expected) in [
            (Range::Own, &[1, -2][..], 2, true),
            (Range::Own, &[2], 2, false),
            (Range::Own, &[-3], 2, false),
            (Range::Own, &[0, -2], 2, false),
            (Range::OrEnd, &[2], 2, true),
            (Range::OrEnd, &[3], 2, false),
            (Range::New, &[0, 3], 2, true),
            (Range::New, &[-4, -1], 2, true),
            (Range::New, &[4, 0], 2, false),
            (Range::New, &[0, -4], 2, false),
            (Range::Permutation, &[1, 0], 2, true),
            (Range::Permutation, &[0], 2, false),
            (Range::Permutation, &[0, 0], 2, false),
            (Range::Leading, &[1], 2, true),
            (Range::Leading, &[-1], 2, false),
        ] {
            assert_eq!(holds(range, axes, rank), expected, "{range:?} {axes:?} of {rank}");
        }
    }

    #[test]
    fn every_operator_with_axes_is_looked_at() {
        // Quantization has an axis only where scales are a list; Scan's axes are those of other operands.
        let elsewhere = ["AffineGrid", "DequantizeLinear", "QuantizeLinear", "Scan"];
        // Before version 7, the axis along which the second operand lies: `builders/align.rs` holds it against both ranks.
        let aligned = ["Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor"];
        for row in OPERATORS.iter().filter(|row| row.domain.is_empty()) {
            let axes = row.attributes.split(' ').any(|name| ["axis", "axes", "perm", "batch_dims"].contains(&name));
            let known = CLAIMS.iter().any(|(op, ..)| *op == row.name);
            let known = known || elsewhere.contains(&row.name) || aligned.contains(&row.name);
            assert!(!axes || known, "{}", row.name);
        }
    }
}
