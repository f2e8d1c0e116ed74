//! `Graph` → `Graph`: fewer, larger operators, and nothing computed at run time that is known now.
//!
//! Every pass is one file, takes the graph in place and counts what it did; [`optimize`] runs the list until nothing
//! changes. Passes run in an order that matters: patterns (norms, attention) are recovered from single operators before
//! fusion merges these. Everything is deterministic: nodes are visited in an order that depends on the graph alone. No pass
//! copies an activation or decides a layout; transposes and reshapes that stay are views for lowering.

mod algebra;
mod attention;
mod constants;
mod duplicates;
mod einsum;
mod expression;
mod fuse;
mod long_lines;
mod long_sums;
mod norms;
mod pattern;
mod programs;
mod reductions;
mod scales;
mod slices;
mod split;
mod views;

pub use fuse::epilogue_operand_fits;
pub use long_sums::split_long_sums;
pub use split::split_large;

use crate::graph::op::Op;
use crate::graph::origin::{OriginId, OriginSet};
use crate::graph::pointwise::Pointwise;
use crate::graph::verify::{Violation, verify};
use crate::graph::{Graph, NodeId, ShapeError};
use std::collections::BTreeSet;

/// What optimisation may do.
#[derive(Debug, Clone)]
pub struct OptimizeOptions {
    /// Constants that are larger than this are not computed, in bytes of the result.
    pub fold_limit_bytes: usize,
    /// Rounds over all passes, at most.
    pub max_rounds: u32,
    /// Attention is recovered up to this size of head (d and e).
    pub max_head_size: usize,
    /// Most rounds that the loops of one invocation take in all; attention that takes more is not recovered.
    pub max_loop_rounds: Option<u64>,
    /// Distinct operands of a fused element-wise node, at most.
    pub max_pointwise_operands: usize,
    /// Operands of an epilogue beside the operator's result, at most.
    pub max_epilogue_operands: usize,
    /// Instructions of an element-wise program, at most.
    pub max_instructions: usize,
    /// Origins of element-wise nodes that do not become epilogues, but may still fuse with each other: how scheduling undoes a
    /// fusion that costs it load capacity.
    pub keep_apart: BTreeSet<OriginId>,
}

impl Default for OptimizeOptions {
    fn default() -> Self {
        Self {
            fold_limit_bytes: 64 << 20,
            max_rounds: 12,
            max_head_size: 128,
            max_loop_rounds: None,
            max_pointwise_operands: 6,
            max_epilogue_operands: 3,
            max_instructions: 64,
            keep_apart: BTreeSet::new(),
        }
    }
}

/// How often each rewrite happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptimizeReport {
    /// Rounds until nothing changed.
    pub rounds: u32,
    /// Nodes computed from constants alone.
    pub constants_folded: usize,
    /// Operands that became literals.
    pub literals: usize,
    /// Element-wise programs made simpler.
    pub programs_simplified: usize,
    /// Of these, activations recovered: GELU, SiLU, hard swish.
    pub activations: usize,
    /// Nodes that did nothing, removed.
    pub identities: usize,
    /// Views merged with views.
    pub views_merged: usize,
    /// Transposes that became labels of an einsum.
    pub transposes_absorbed: usize,
    /// Slices moved before the operator that they read.
    pub slices_moved: usize,
    /// Nodes equal to another one.
    pub duplicates: usize,
    /// Sums and squares merged into reductions.
    pub reductions: usize,
    /// Norms recovered.
    pub norms: usize,
    /// Attentions recovered.
    pub attentions: usize,
    /// Scales folded into convolution weights.
    pub scales_folded: usize,
    /// Element-wise nodes fused into element-wise nodes.
    pub pointwise_fused: usize,
    /// Element-wise nodes that became an epilogue.
    pub epilogues_fused: usize,
}

impl OptimizeReport {
    /// All rewrites together; a round that leaves it unchanged is the last.
    fn total(&self) -> usize {
        self.constants_folded
            + self.literals
            + self.programs_simplified
            + self.identities
            + self.views_merged
            + self.transposes_absorbed
            + self.slices_moved
            + self.duplicates
            + self.reductions
            + self.norms
            + self.attentions
            + self.scales_folded
            + self.pointwise_fused
            + self.epilogues_fused
    }
}

/// A pass broke the graph: a bug of ours, as a value, so that a model in the field gets a report and not a crash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptimizeError {
    /// An operator that a pass made does not accept its operands.
    #[error("optimisation of node `{node}`: {error}")]
    Shape {
        /// ONNX name.
        node: String,
        /// Why.
        error: ShapeError,
    },
    /// The graph is not well formed after a pass.
    #[error("after pass `{pass}`: {}", violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Violations {
        /// The pass.
        pass: &'static str,
        /// Everything that is wrong.
        violations: Vec<Violation>,
    },
}

/// One pass.
type Pass = fn(&mut Graph, &OptimizeOptions, &mut OptimizeReport) -> Result<(), OptimizeError>;

/// The passes, in order.
const PASSES: &[(&str, Pass)] = &[
    ("constants", constants::run),
    ("programs", programs::run),
    ("algebra", algebra::run),
    ("views", views::run),
    ("einsum", einsum::run),
    ("slices", slices::run),
    ("duplicates", duplicates::run),
    ("reductions", reductions::run),
    ("norms", norms::run),
    ("attention", attention::run),
    ("scales", scales::run),
    ("fuse", fuse::run),
];

/// Rewrites the graph until no pass changes it.
///
/// # Errors
/// When a pass made something that is not well formed; debug builds check after every pass, release builds leave it to the
/// caller's check between stages.
pub fn optimize(graph: &mut Graph, options: &OptimizeOptions) -> Result<OptimizeReport, OptimizeError> {
    let mut report = OptimizeReport::default();
    graph.prune();
    while report.rounds < options.max_rounds {
        let before = report.total();
        report.rounds += 1;
        for (name, pass) in PASSES {
            pass(graph, options, &mut report)?;
            graph.prune();
            if cfg!(debug_assertions) {
                let violations = verify(graph);
                if !violations.is_empty() {
                    return Err(OptimizeError::Violations { pass: name, violations });
                }
            }
        }
        if report.total() == before {
            break;
        }
    }
    Ok(report)
}

/// Adds a node whose operator a pass chose.
fn add(graph: &mut Graph, op: Op, operands: &[NodeId], origin: OriginSet) -> Result<NodeId, OptimizeError> {
    let added = graph.add(op, operands, origin);
    added.map_err(|error| OptimizeError::Shape { node: graph.origins.label(origin, OriginSet::NONE), error })
}

/// `node` under another shape of as many elements: itself, or a `Reshape` of it.
fn reshape(graph: &mut Graph, node: NodeId, shape: &[usize], origin: OriginSet) -> NodeId {
    if graph.node(node).shape == shape {
        return node;
    }
    let dtype = graph.node(node).dtype;
    graph.add_shaped(Op::Reshape, &[node], origin, shape.to_vec(), dtype)
}

/// `node` with its axes permuted: itself, or a `Transpose` of it.
fn transpose(
    graph: &mut Graph,
    node: NodeId,
    permutation: Vec<usize>,
    origin: OriginSet,
) -> Result<NodeId, OptimizeError> {
    if permutation.iter().enumerate().all(|(i, p)| i == *p) {
        return Ok(node);
    }
    add(graph, Op::Transpose { permutation }, &[node], origin)
}

/// The node that alone reads `id`, when it is not a public output either. It may read it in several positions.
fn single_user(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let users = graph.users(id);
    let public = graph.results().any(|o| o.node == id);
    (users.len() == 1 && !public).then(|| users[0])
}

/// The program of a `Pointwise` node.
fn program(graph: &Graph, id: NodeId) -> Option<&Pointwise> {
    if let Op::Pointwise(program) = &graph.node(id).op { Some(program) } else { None }
}

/// Whether operands of these shapes broadcast to exactly `shape`.
fn broadcasts_to(graph: &Graph, operands: &[NodeId], shape: &[usize]) -> bool {
    !operands.is_empty()
        && (0..shape.len()).all(|axis| operands.iter().any(|o| graph.node(*o).shape[axis] == shape[axis]))
}

#[cfg(test)]
mod tests;
