//! `Einsum`: the equation by ONNX's rules, and its place in a tract model.
//!
//! Takes the place of tract's own reading, which loses an output without axes and axes that an ellipsis has in one operand only.
//! Every axis of every operand gets a label: a letter, or its place from the end of an ellipsis, since those are aligned as in
//! any broadcast. Axes of size 1 broadcast. What is computed is tract's contraction (`translate/einsum.rs`).

use super::kernel_op::NotTaken;
use super::reason::EquationError;
use crate::graph::ShapeError;
use std::collections::BTreeMap;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::{AttributeProto, NodeProto};
use tract_onnx::prelude::{TDim, TractError, TractResult, TypedModel};
use tract_onnx::tract_core::axes::{AxesMapping, Axis};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_hir::internal::{
    DimLike, Expansion, InferenceOp, InferenceResult, OutletId, Solver, SpecialOps, StaticName, TVec, TensorProxy,
    ToDim, check_input_arity, check_output_arity, expand, tvec,
};

/// What stands for an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    /// An axis of an ellipsis, counted from its last one.
    FromEnd(usize),
    /// A letter.
    Letter(char),
}

/// A part of an equation: letters, with the place of the ellipsis among them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Term {
    letters: Vec<char>,
    ellipsis: Option<usize>,
}

/// An equation that is well formed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Equation {
    operands: Vec<Term>,
    result: Term,
}

impl Term {
    fn parse(text: &str) -> Result<Self, EquationError> {
        let mut term = Self::default();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("...") {
                if term.ellipsis.replace(term.letters.len()).is_some() {
                    return Err(EquationError::Ellipses(text.to_owned()));
                }
                rest = after;
            } else if next.is_ascii_alphabetic() {
                term.letters.push(next);
                rest = &rest[1..];
            } else {
                return Err(EquationError::Character(next));
            }
        }
        Ok(term)
    }

    /// The labels of axes; an ellipsis has `extra` of them.
    fn labels(&self, extra: usize) -> Vec<Label> {
        let mut labels: Vec<Label> = self.letters.iter().copied().map(Label::Letter).collect();
        if let Some(at) = self.ellipsis {
            labels.splice(at..at, (0..extra).rev().map(Label::FromEnd));
        }
        labels
    }
}

impl Equation {
    /// Reads an equation for a number of operands.
    pub fn parse(text: &str, operands: usize) -> Result<Self, EquationError> {
        let text: String = text.chars().filter(|c| *c != ' ').collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        if right.is_some_and(|right| right.contains("->")) {
            return Err(EquationError::Arrows);
        }
        let terms = left.split(',').map(Term::parse).collect::<Result<Vec<_>, _>>()?;
        if terms.len() != operands {
            return Err(EquationError::Operands { terms: terms.len(), operands });
        }
        let result = match right {
            Some(right) => Term::parse(right)?,
            None => implicit(&terms),
        };
        for (index, letter) in result.letters.iter().enumerate() {
            if result.letters[..index].contains(letter) {
                return Err(EquationError::Twice(*letter));
            }
            if !terms.iter().any(|term| term.letters.contains(letter)) {
                return Err(EquationError::Unknown(*letter));
            }
        }
        Ok(Self { operands: terms, result })
    }

    /// The labels of every operand of these ranks, and of the result.
    fn labels(&self, ranks: &[usize]) -> Result<(Vec<Vec<Label>>, Vec<Label>), Misfit> {
        let mut operands = Vec::new();
        let mut most = 0;
        for (operand, (term, rank)) in self.operands.iter().zip(ranks).enumerate() {
            let extra = match (rank.checked_sub(term.letters.len()), term.ellipsis) {
                (Some(extra), Some(_)) => extra,
                (Some(0), None) => 0,
                (Some(_) | None, _) => return Err(Misfit::Rank(operand)),
            };
            most = most.max(extra);
            operands.push(term.labels(extra));
        }
        if most > 0 && self.result.ellipsis.is_none() {
            return Err(Misfit::EllipsisSummed);
        }
        Ok((operands, self.result.labels(most)))
    }
}

/// Letters that occur once, in the order of their codes, behind the axes of an ellipsis.
fn implicit(terms: &[Term]) -> Term {
    let mut counts: BTreeMap<char, usize> = BTreeMap::new();
    terms.iter().flat_map(|term| &term.letters).for_each(|letter| *counts.entry(*letter).or_default() += 1);
    let letters = counts.into_iter().filter(|(_, count)| *count == 1).map(|(letter, _)| letter).collect();
    let ellipsis = terms.iter().any(|term| term.ellipsis.is_some()).then_some(0);
    Term { letters, ellipsis }
}

/// Why an equation does not fit its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misfit {
    /// This operand has another number of axes.
    Rank(usize),
    /// An axis of this operand has another size than the same one elsewhere.
    Size(usize),
    /// An ellipsis has axes, and the result has no ellipsis.
    EllipsisSummed,
}

/// The operator before its operands are known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Einsum {
    node: String,
    equation: Equation,
}

/// Whether a node's equation can be read at all.
pub fn check(node: &NodeProto) -> Result<(), EquationError> {
    Equation::parse(equation_of(node), node.input.len()).map(|_| ())
}

fn equation_of(node: &NodeProto) -> &str {
    let text = |attribute: &'_ AttributeProto| attribute.name == "equation";
    node.attribute.iter().find(|a| text(a)).and_then(|a| std::str::from_utf8(&a.s).ok()).unwrap_or_default()
}

/// What tract's parser takes instead of its own function.
pub fn from_onnx(_: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let equation = Equation::parse(equation_of(node), node.input.len())
        .map_err(|error| TractError::msg(format!("node `{}`: {error}", node.name)))?;
    Ok((expand(Einsum { node: node.name.clone(), equation }), vec![]))
}

impl Einsum {
    fn refused(&self, misfit: Misfit, shapes: &[TVec<TDim>]) -> TractError {
        let (operand, reason) = match misfit {
            Misfit::Rank(operand) => (operand, "its equation has another number of axes"),
            Misfit::Size(operand) => (operand, "an axis has another size elsewhere in the equation"),
            Misfit::EllipsisSummed => (0, "the result has no ellipsis for the axes of this one"),
        };
        let shape = shapes[operand].iter().filter_map(|dim| dim.to_usize().ok()).collect();
        TractError::new(NotTaken {
            node: self.node.clone(),
            error: ShapeError::Shape { op: "Einsum", operand, shape, reason },
        })
    }

    /// Axes of the contraction, and the shape of the result.
    fn resolved(&self, shapes: &[TVec<TDim>]) -> TractResult<(AxesMapping, TVec<TDim>)> {
        let ranks: Vec<usize> = shapes.iter().map(|shape| shape.len()).collect();
        let (operands, result) = self.equation.labels(&ranks).map_err(|misfit| self.refused(misfit, shapes))?;
        let mut axes: BTreeMap<Label, (Axis, TDim)> = BTreeMap::new();
        for (operand, (labels, shape)) in operands.iter().zip(shapes).enumerate() {
            for (position, (label, size)) in labels.iter().zip(shape.iter()).enumerate() {
                // tract distinguishs axes by a character, whichever it is.
                let next = char::from_u32('a' as u32 + axes.len() as u32).unwrap_or('a');
                let (axis, known) =
                    axes.entry(*label).or_insert_with(|| (Axis::new(next, operands.len(), 1), size.clone()));
                let is_diagonal = labels[..position].contains(label);
                if known != size && (is_diagonal || (*known != 1.to_dim() && *size != 1.to_dim())) {
                    return Err(self.refused(Misfit::Size(operand), shapes));
                }
                if *known == 1.to_dim() {
                    *known = size.clone();
                }
                axis.inputs[operand].push(position);
            }
        }
        let mut shape = tvec!();
        for (position, label) in result.iter().enumerate() {
            let (axis, size) = axes.get_mut(label).expect("the result's labels are those of operands");
            axis.outputs[0].push(position);
            shape.push(size.clone());
        }
        let axes: Vec<Axis> = axes.into_values().map(|(axis, _)| axis).collect();
        Ok((AxesMapping::new(operands.len(), 1, axes)?, shape))
    }
}

impl Expansion for Einsum {
    fn name(&self) -> StaticName {
        "Einsum".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, self.equation.operands.len())?;
        check_output_arity(outputs, 1)?;
        for input in inputs {
            s.equals(&input.datum_type, &outputs[0].datum_type)?;
        }
        s.given_all(inputs.iter().map(|input| &input.shape), move |s, shapes| {
            let (_, shape) = self.resolved(&shapes)?;
            s.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let facts = inputs.iter().map(|input| model.outlet_fact(*input)).collect::<TractResult<Vec<_>>>()?;
        let shapes: Vec<TVec<TDim>> = facts.iter().map(|fact| fact.shape.to_tvec()).collect();
        let operating_dt = facts[0].datum_type;
        let (axes, _) = self.resolved(&shapes)?;
        model.wire_node(prefix, EinSum { axes, operating_dt, q_params: None }, inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::{Equation, EquationError, Label, Misfit};

    fn labels(text: &str, ranks: &[usize]) -> Result<String, Misfit> {
        let (operands, result) = Equation::parse(text, ranks.len()).expect("well formed").labels(ranks)?;
        let word = |labels: &Vec<Label>| -> String {
            labels
                .iter()
                .map(|label| match label {
                    Label::FromEnd(place) => char::from_digit(*place as u32, 10).unwrap_or('?'),
                    Label::Letter(letter) => *letter,
                })
                .collect()
        };
        Ok(format!("{}->{}", operands.iter().map(word).collect::<Vec<_>>().join(","), word(&result)))
    }

    #[test]
    fn equations_are_read_by_the_rules_of_onnx() {
        let cases: &[(&str, &[usize], &str)] = &[
            ("ij->", &[2], "ij->"),
            ("ij , jk -> ik", &[2, 2], "ij,jk->ik"),
            ("...i,i->...", &[3, 1], "10i,i->10"),
            ("...,...->...", &[3, 1], "210,0->210"),
            ("a...b,...b->...a", &[4, 2], "a10b,0b->10a"),
            ("ba", &[2], "ba->ab"),
            ("aB,Bc", &[2, 2], "aB,Bc->ac"),
            ("aZ", &[2], "aZ->Za"),
            ("ii", &[2], "ii->"),
            ("i...", &[3], "i10->10i"),
            ("->", &[0], "->"),
            (",i", &[0, 1], ",i->i"),
            ("i->...i", &[1], "i->i"),
        ];
        for (text, ranks, expected) in cases {
            assert_eq!(labels(text, ranks).as_deref(), Ok(*expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        let parse = |text: &str, operands| Equation::parse(text, operands).expect_err(text);
        assert_eq!(parse("i+j", 1), EquationError::Character('+'));
        assert_eq!(parse("i.j", 1), EquationError::Character('.'));
        assert_eq!(parse("i->j", 1), EquationError::Unknown('j'));
        assert_eq!(parse("i->ii", 1), EquationError::Twice('i'));
        assert_eq!(parse("......->", 1), EquationError::Ellipses("......".to_owned()));
        assert_eq!(parse("i->i->i", 1), EquationError::Arrows);
        assert_eq!(parse("i,j->i", 1), EquationError::Operands { terms: 2, operands: 1 });
        assert_eq!(labels("ij->i", &[3]), Err(Misfit::Rank(0)));
        assert_eq!(labels("i,...jk->i", &[1, 1]), Err(Misfit::Rank(1)));
        assert_eq!(labels("...i->i", &[2]), Err(Misfit::EllipsisSummed));
    }
}
