//! What the operators on the lines along one axis share: an operand, a dense output, and the axes that count the lines.
//!
//! It deliberately knows no operator.

use super::copy::dense;
use super::strided::{Four, four, other_axes};
use crate::graph::NodeId;
use crate::kernels::params::Params;
use crate::lower::context::Lowering;
use crate::lower::view::View;

/// The operand and a dense output, with the axes that count the lines merged.
pub struct Lines {
    /// The operand.
    pub x: View,
    /// The output.
    pub out: View,
    merged: Four,
    /// Number of lines.
    pub count: usize,
}

impl Lines {
    /// Those of a node along `axis`; makes its output.
    pub fn of(lowering: &mut Lowering<'_>, id: NodeId, axis: usize) -> Self {
        let graph = lowering.graph();
        let node = graph.node(id);
        let mut x = lowering.view(graph.operands(id)[0]);
        let outer = other_axes(x.shape.len(), &[axis]);
        let out = lowering.output(&node.shape);
        if four(&outer, &[&x, &out]).is_none() {
            x = dense(lowering, &x);
        }
        let merged = four(&outer, &[&x, &out]).expect("dense tensors merge the axes on either side of one");
        let count = outer.iter().map(|a| x.shape[*a]).product();
        lowering.set_view(id, out.clone());
        Self { x, out, merged, count }
    }

    /// Extents of the merged axes, and the strides of operand and output along them.
    pub fn params(&self) -> Params {
        let [x_strides, out_strides] = [0, 1].map(|view| self.merged.strides[view]);
        Params::new().set("extents", self.merged.extents).set("x_strides", x_strides).set("out_strides", out_strides)
    }
}
