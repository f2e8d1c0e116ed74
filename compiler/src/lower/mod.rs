//! Lowering: `Graph` → `Program`.
//!
//! Nodes are visited in the graph's order; each becomes kernel calls or a view (`ops/`, one file a family, one match in
//! `ops/mod.rs`). Activations get offsets from their lifetimes, weights their place in the texel stream, in first-use order.
//! A weight whose dispatch would need more pages than allowed is cut by output panels into several calls; products of one x whose
//! weights follow each other become one (`siblings.rs`). It deliberately
//! decides nothing about when pages move.

pub mod blocks;
pub mod bounds;
pub mod context;
pub mod error;
pub mod half;
pub mod memory;
pub(crate) mod ops;
mod product;
pub mod program;
pub mod siblings;
pub mod site;
pub(crate) mod streamed;
pub mod verify;
pub mod view;

use crate::graph::Graph;
use context::Lowering;
pub use error::{LowerError, LowerOptions};
use program::Program;

/// Lowers a graph.
///
/// # Errors
/// See [`LowerError`].
pub fn lower(graph: &Graph, options: &LowerOptions) -> Result<Program, LowerError> {
    let mut lowering = Lowering::new(graph, options);
    for id in graph.topological_order() {
        ops::lower_node(&mut lowering, id)?;
    }
    ops::lower_outputs(&mut lowering)?;
    lowering.finish()
}
