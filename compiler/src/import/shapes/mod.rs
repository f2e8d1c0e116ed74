//! Shapes that operators need of their operands, held against those that inference finds.
//!
//! Where an operand has another size than ONNX says, tract and rewrites may still broadcast it and compute something. So what the
//! nodes of the file need of one another's shapes is noted before rewrites take them apart, and checked when inference is done, or has
//! failed. What each operator needs is in `rules.rs`. An operand whose shape is not known is deliberately not looked at.

mod claim;
mod rules;
#[cfg(test)]
mod tests;

use super::rewrite::steps::Known;
use super::schema::in_force;
pub use claim::Claim;
use claim::View;
use std::collections::BTreeMap;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{InferenceModel, OutletId};
use tract_onnx::tract_hir::internal::{DimLike, Factoid};

/// An operand of a shape that its node cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}` ({op}): {operand} `{value}` has the shape {shape:?}; {needed} is needed")]
pub struct Unfit {
    /// The node.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// What ONNX calls the operand.
    pub operand: &'static str,
    /// The operand.
    pub value: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it should be.
    pub needed: String,
}

/// What nodes need.
pub fn claims(nodes: &[NodeProto], known: &Known) -> Vec<Claim> {
    nodes.iter().filter_map(|node| claim(node, known)).collect()
}

fn claim(node: &NodeProto, known: &Known) -> Option<Claim> {
    let name = full_name(node);
    rules::of(&name)?;
    let version = if name.contains('.') { 1 } else { known.opset };
    let schema = in_force(&name, version)?;
    let formal = |position: usize| schema.inputs.get(position).or(schema.inputs.last()).map_or("operand", |f| f.name);
    let operands = node.input.iter().enumerate().map(|(position, value)| (formal(position), value.clone()));
    Some(Claim {
        node: node.name.clone(),
        op: name,
        since: schema.since,
        operands: operands.collect(),
        constants: node.input.iter().map(|value| known.shape(value).map(<[usize]>::to_vec)).collect(),
        integers: node.input.iter().map(|value| known.integers(value).map(<[i64]>::to_vec)).collect(),
        results: node.output.len(),
        attributes: node.attribute.iter().filter(|a| a.g.is_none() && a.t.is_none()).cloned().collect(),
    })
}

fn full_name(node: &NodeProto) -> String {
    match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}

/// Nodes whose operands do not agree, as far as the model knows their shapes.
pub fn unfit(claims: &[Claim], model: &InferenceModel) -> Vec<Unfit> {
    let mut shapes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for node in model.nodes() {
        for (slot, outlet) in node.outputs.iter().enumerate() {
            let name = model.outlet_label(OutletId::new(node.id, slot)).or((slot == 0).then_some(node.name.as_str()));
            let dims = outlet.fact.shape.concretize();
            let dims = dims.and_then(|dims| dims.iter().map(|dim| dim.to_usize().ok()).collect());
            shapes.extend(name.zip(dims));
        }
    }
    claims.iter().filter_map(|claim| wrong(claim, &shapes)).collect()
}

fn wrong(claim: &Claim, shapes: &BTreeMap<&str, Vec<usize>>) -> Option<Unfit> {
    let view = View { claim, shapes };
    let (position, needed) = rules::of(&claim.op)?(&view).err()?;
    let (operand, value) = claim.operands.get(position)?.clone();
    let shape = view.shape(position)?.to_vec();
    let op = claim.op.rsplit('.').next().unwrap_or_default().to_owned();
    Some(Unfit { node: claim.node.clone(), op, operand, value, shape, needed })
}
