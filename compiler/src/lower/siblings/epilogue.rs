//! One epilogue for siblings: sums and products with a number a column, or with one number.
//!
//! Where one of them lacks a step that the others have, it adds −0 or multiplies by 1, which leaves every float as it is. Anything
//! else is no common epilogue.

use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise};
use crate::graph::{Graph, NodeId};
use crate::lower::product::Product;
use crate::lower::view::element_strides;
use crate::narrow::index32;

/// Operands that the epilogue has at most.
const MAX_VECTORS: usize = 3;

/// A sum or a product with what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    factor: bool,
    with: With,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum With {
    /// One float, as bits.
    Number(u32),
    /// A constant that is one number a column.
    Columns(NodeId),
}

/// The epilogue of a product as such steps; `None` where it is something else.
pub(super) fn links(graph: &Graph, id: NodeId, product: &Product) -> Option<Vec<Link>> {
    let Some(program) = &graph.node(id).epilogue else { return Some(Vec::new()) };
    let others = &graph.operands(id)[graph.op_operand_count(id)..];
    let mut value = Operand::Input(0);
    let mut list = Vec::new();
    for (at, instruction) in program.instructions.iter().enumerate() {
        let Instruction::Binary(op @ (BinaryOp::Add | BinaryOp::Mul), a, b) = *instruction else {
            if matches!(instruction, Instruction::Literal(Literal::F32(_))) {
                continue;
            }
            return None;
        };
        let other = if a == value && b != value {
            b
        } else if b == value && a != value {
            a
        } else {
            return None;
        };
        list.push(Link { factor: op == BinaryOp::Mul, with: known(graph, program, product, others, other)? });
        value = Operand::Result(index32(at));
    }
    (value == Operand::Result(index32(program.instructions.len()) - 1)).then_some(list)
}

/// An operand of an epilogue that is a number, or a number a column.
fn known(graph: &Graph, program: &Pointwise, product: &Product, others: &[NodeId], operand: Operand) -> Option<With> {
    let position = match operand {
        Operand::Result(i) => {
            let Instruction::Literal(Literal::F32(bits)) = program.instructions[i as usize] else { return None };
            return Some(With::Number(bits));
        }
        Operand::Input(i) => i.checked_sub(1)?,
    };
    let id = *others.get(position as usize)?;
    let shape = &graph.constant(id).filter(|constant| constant.dtype() == Dtype::F32)?.shape;
    let of_columns = |(size, label): (&usize, &u8)| *size == 1 || product.kinds.n.contains(label);
    let fits = shape.len() == product.output.len() && shape.iter().zip(&product.output).all(of_columns);
    fits.then_some(With::Columns(id))
}

/// A step of all siblings.
struct Step {
    factor: bool,
    /// Where all have the same number.
    number: Option<u32>,
    /// The step of each sibling that it is, by position.
    of: Vec<Option<usize>>,
}

/// The steps of all siblings.
pub(super) struct Common(Vec<Step>);

/// Steps that those of each are some of; `None` where they are not, or have too many operands.
pub(super) fn common(lists: &[&[Link]]) -> Option<Common> {
    let longest = lists.iter().rev().max_by_key(|list| list.len())?;
    let mut next = vec![0; lists.len()];
    let steps = longest.iter().map(|step| {
        let of: Vec<Option<usize>> = lists
            .iter()
            .zip(&mut next)
            .map(|(list, next)| {
                let same = list.get(*next).is_some_and(|link| link.factor == step.factor);
                same.then(|| std::mem::replace(next, *next + 1))
            })
            .collect();
        let with = |(list, at): (&&[Link], &Option<usize>)| at.map(|at| list[at].with);
        let same = lists.iter().zip(&of).all(|pair| with(pair) == Some(step.with));
        let number = if let With::Number(bits) = step.with { same.then_some(bits) } else { None };
        Step { factor: step.factor, number, of }
    });
    let common = Common(steps.collect());
    let complete = next.iter().zip(lists).all(|(next, list)| *next == list.len());
    (complete && common.operands() <= MAX_VECTORS).then_some(common)
}

/// A sibling and its first column.
pub(super) struct Columns<'a> {
    /// The product.
    pub product: &'a Product,
    /// Its own epilogue.
    pub links: &'a [Link],
    /// Its first column.
    pub first: usize,
}

impl Common {
    /// How many vectors it reads.
    pub fn operands(&self) -> usize {
        self.0.iter().filter(|step| step.number.is_none()).count()
    }

    /// Of the result and the vectors; `None` where there is nothing to do.
    pub fn program(&self) -> Option<Pointwise> {
        let (mut value, mut vectors, mut instructions) = (Operand::Input(0), 0, Vec::new());
        for step in &self.0 {
            let other = match step.number {
                Some(bits) => {
                    instructions.push(Instruction::Literal(Literal::F32(bits)));
                    Operand::Result(index32(instructions.len()) - 1)
                }
                None => {
                    vectors += 1;
                    Operand::Input(vectors)
                }
            };
            let op = if step.factor { BinaryOp::Mul } else { BinaryOp::Add };
            instructions.push(Instruction::Binary(op, value, other));
            value = Operand::Result(index32(instructions.len()) - 1);
        }
        let inputs = vec![Dtype::F32; 1 + self.operands()];
        (!instructions.is_empty()).then_some(Pointwise { inputs, instructions })
    }

    /// The vectors that it reads, of so many columns; those between siblings are as if a step were lacking.
    pub fn vectors(&self, graph: &Graph, siblings: &[Columns<'_>], columns: usize) -> Vec<Vec<f32>> {
        let steps = self.0.iter().filter(|step| step.number.is_none());
        let vector = |step: &Step| {
            let mut values = vec![if step.factor { 1.0 } else { -0.0 }; columns];
            for (sibling, at) in siblings.iter().zip(&step.of) {
                let Some(at) = at else { continue };
                write(graph, sibling.product, sibling.links[*at].with, &mut values[sibling.first..]);
            }
            values
        };
        steps.map(vector).collect()
    }
}

/// Writes the numbers of a product's columns to the first of `out`.
fn write(graph: &Graph, product: &Product, with: With, out: &mut [f32]) {
    let sizes: Vec<usize> = product.kinds.n.iter().map(|label| product.size(graph, *label)).collect();
    let count: usize = sizes.iter().product();
    let id = match with {
        With::Number(bits) => return out[..count].fill(f32::from_bits(bits)),
        With::Columns(id) => id,
    };
    let constant = graph.constant(id).expect("links hold constants");
    let strides = element_strides(&constant.shape);
    let stride = |label: &u8| {
        let axis = product.output.iter().position(|l| l == label).expect("columns are of the output");
        if constant.shape[axis] == 1 { 0 } else { strides[axis] }
    };
    let strides: Vec<usize> = product.kinds.n.iter().map(stride).collect();
    for (column, value) in out[..count].iter_mut().enumerate() {
        let (mut rest, mut place) = (column, 0);
        for (size, stride) in sizes.iter().zip(&strides).rev() {
            place += rest % size * stride;
            rest /= size;
        }
        *value = constant.f32_at(place);
    }
}
