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
mod long_windows;
mod nodes;
mod norms;
mod parts;
mod pass;
mod pattern;
mod programs;
mod reductions;
mod scales;
mod slices;
mod split;
mod views;

pub use fuse::epilogue_operand_fits;
pub use long_sums::split_long_sums;
pub use pass::{OptimizeError, OptimizeOptions, OptimizeReport};
pub use split::split_large;

use crate::graph::Graph;
use crate::graph::verify::verify;

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

#[cfg(test)]
mod tests;
