//! What every pass takes and gives: options, a report of what was done, and the error of a pass that broke the graph.
//!
//! It deliberately knows no pass.

use crate::graph::ShapeError;
use crate::graph::origin::OriginId;
use crate::graph::verify::Violation;
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
    pub fn total(&self) -> usize {
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
