//! Shapes that operators need of their operands, held against those that inference finds.
//!
//! Where an operand has another size than ONNX says, tract and rewrites may still broadcast it and compute something. So what the
//! nodes of the file need of one another's shapes is noted before rewrites take them apart, and checked when inference is done, or has
//! failed. What each operator needs is in `rules.rs`. An operand whose shape is not known is deliberately not looked at.

mod rules;
#[cfg(test)]
mod tests;

use super::rewrite::steps::Known;
use super::schema::in_force;
use std::collections::BTreeMap;
use tract_onnx::pb::{AttributeProto, NodeProto};
use tract_onnx::prelude::{InferenceModel, OutletId};
use tract_onnx::tract_hir::internal::{DimLike, Factoid};

/// What a node needs: the position of the operand that does not have it, and the shape that it should have.
type Rule = fn(&View<'_>) -> Result<(), (usize, String)>;

/// A node whose operands have to agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    node: String,
    op: String,
    /// The version of the operator.
    since: u32,
    /// Names of its operands, by ONNX and in the model.
    operands: Vec<(&'static str, String)>,
    /// Shapes of operands that are constants.
    constants: Vec<Option<Vec<usize>>>,
    /// Values of small integer operands.
    integers: Vec<Option<Vec<i64>>>,
    results: usize,
    attributes: Vec<AttributeProto>,
}

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

/// A node with the shapes that are known.
struct View<'a> {
    claim: &'a Claim,
    shapes: &'a BTreeMap<&'a str, Vec<usize>>,
}

impl View<'_> {
    /// The shape of an operand that is given.
    fn shape(&self, position: usize) -> Option<&[usize]> {
        let (_, name) = self.claim.operands.get(position).filter(|(_, name)| !name.is_empty())?;
        let constant = self.claim.constants.get(position).and_then(Option::as_deref);
        self.shapes.get(name.as_str()).map(Vec::as_slice).or(constant)
    }

    /// Its values, where they are known.
    fn integers(&self, position: usize) -> Option<&[i64]> {
        self.claim.integers.get(position).and_then(Option::as_deref)
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.claim.attributes.iter().find(|attribute| attribute.name == name)
    }

    fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|attribute| attribute.i)
    }

    /// An axis of a tensor of a rank, by the attribute that names it.
    fn axis(&self, name: &str, or: i64, rank: usize) -> Option<usize> {
        let axis = self.int(name).unwrap_or(or);
        let axis = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(axis).ok().filter(|axis| *axis < rank)
    }

    /// Refuses an operand of another shape.
    fn needs(&self, position: usize, shape: &[usize]) -> Result<(), (usize, String)> {
        self.holds(position, |found| found == shape, || format!("{shape:?}"))
    }

    /// Refuses an operand of more than one element.
    fn one(&self, position: usize) -> Result<(), (usize, String)> {
        self.holds(position, |found| found.iter().product::<usize>() == 1, || "one element".to_owned())
    }

    /// Refuses an operand that does not broadcast to a shape without making it larger.
    fn broadcasts(&self, position: usize, to: &[usize]) -> Result<(), (usize, String)> {
        let fits = |found: &[usize]| {
            let pairs = found.iter().rev().zip(to.iter().rev());
            found.len() <= to.len() && pairs.into_iter().all(|(found, to)| *found == 1 || found == to)
        };
        self.holds(position, fits, || format!("one that broadcasts to {to:?}"))
    }

    fn holds(
        &self,
        position: usize,
        fits: impl Fn(&[usize]) -> bool,
        needed: impl Fn() -> String,
    ) -> Result<(), (usize, String)> {
        match self.shape(position) {
            Some(found) if !fits(found) => Err((position, needed())),
            Some(_) | None => Ok(()),
        }
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
