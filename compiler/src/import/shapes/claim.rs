//! A node with what is known of its operands, and the questions that rules ask of it.

use std::collections::BTreeMap;
use tract_onnx::pb::AttributeProto;

/// What a node needs: the position of the operand that does not have it, and the shape that it should have.
pub(super) type Rule = fn(&View<'_>) -> Result<(), (usize, String)>;

/// A node whose operands have to agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub(super) node: String,
    pub(super) op: String,
    /// The version of the operator.
    pub(super) since: u32,
    /// Names of its operands, by ONNX and in the model.
    pub(super) operands: Vec<(&'static str, String)>,
    /// Shapes of operands that are constants.
    pub(super) constants: Vec<Option<Vec<usize>>>,
    /// Values of small integer operands.
    pub(super) integers: Vec<Option<Vec<i64>>>,
    pub(super) results: usize,
    pub(super) attributes: Vec<AttributeProto>,
}

/// A node with the shapes that are known.
pub(super) struct View<'a> {
    pub(super) claim: &'a Claim,
    pub(super) shapes: &'a BTreeMap<&'a str, Vec<usize>>,
}

impl View<'_> {
    /// The shape of an operand that is given.
    pub(super) fn shape(&self, position: usize) -> Option<&[usize]> {
        let (_, name) = self.claim.operands.get(position).filter(|(_, name)| !name.is_empty())?;
        let constant = self.claim.constants.get(position).and_then(Option::as_deref);
        self.shapes.get(name.as_str()).map(Vec::as_slice).or(constant)
    }

    /// Its values, where they are known.
    pub(super) fn integers(&self, position: usize) -> Option<&[i64]> {
        self.claim.integers.get(position).and_then(Option::as_deref)
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.claim.attributes.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|attribute| attribute.i)
    }

    /// An axis of a tensor of a rank, by the attribute that names it.
    pub(super) fn axis(&self, name: &str, or: i64, rank: usize) -> Option<usize> {
        let axis = self.int(name).unwrap_or(or);
        let axis = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(axis).ok().filter(|axis| *axis < rank)
    }

    /// Refuses an operand of another shape.
    pub(super) fn needs(&self, position: usize, shape: &[usize]) -> Result<(), (usize, String)> {
        self.holds(position, |found| found == shape, || format!("{shape:?}"))
    }

    /// Refuses an operand of more than one element.
    pub(super) fn one(&self, position: usize) -> Result<(), (usize, String)> {
        self.holds(position, |found| found.iter().product::<usize>() == 1, || "one element".to_owned())
    }

    /// Refuses an operand that does not broadcast to a shape without making it larger.
    pub(super) fn broadcasts(&self, position: usize, to: &[usize]) -> Result<(), (usize, String)> {
        let fits = |found: &[usize]| {
            let pairs = found.iter().rev().zip(to.iter().rev());
            found.len() <= to.len() && pairs.into_iter().all(|(found, to)| *found == 1 || found == to)
        };
        self.holds(position, fits, || format!("one that broadcasts to {to:?}"))
    }

    pub(super) fn holds(
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
