//! The parts of lowering that operators with a kernel of their own share: one invocation an output element.

use crate::graph::NodeId;
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use crate::lower::context::{Call, Lowering};
use crate::lower::ops::strided::{cost, linear, reversed, word};
use crate::lower::view::View;

/// The call of a kernel with one invocation an output element: where its operands and its dense output lie.
pub struct Elements {
    /// The operator's own operands.
    pub operands: Vec<View>,
    /// The output.
    pub out: View,
    /// Elements of the output.
    pub count: usize,
    /// Invocations along x.
    pub width: u32,
    workgroups: [u32; 3],
}

impl Elements {
    /// Makes the output of a node; `None` when it has no elements, and there is nothing to call.
    pub fn of(lowering: &mut Lowering<'_>, id: NodeId) -> Option<Self> {
        let graph = lowering.graph();
        let own = graph.op_operand_count(id);
        let operands: Vec<View> = graph.operands(id)[..own].iter().map(|o| lowering.view(*o)).collect();
        let out = lowering.output(&graph.node(id).shape);
        lowering.set_view(id, out.clone());
        let count = out.len();
        let (workgroups, width) = linear(count);
        (count > 0).then_some(Self { operands, out, count, width, workgroups })
    }

    /// As many invocations as `count`, where one computes several elements.
    pub fn invocations(&mut self, count: usize) {
        (self.workgroups, self.width) = linear(count);
    }

    /// The parameters of a kernel that reduces regions (operand 1) of an image (operand 0) to one size: where both lie.
    pub fn region_params(&self, size: [usize; 2], scale: f32) -> Params {
        let (x, regions) = (&self.operands[0], &self.operands[1]);
        Params::new()
            .set("count", self.count)
            .set("channels", x.shape[1])
            .set("width", self.width)
            .set("rows", size[0])
            .set("columns", size[1])
            .set("x_height", x.shape[2])
            .set("x_width", x.shape[3])
            .set("batch", x.shape[0])
            .set("scale", scale)
            .set("stride_batch", x.strides[0])
            .set("stride_channel", x.strides[1])
            .set("stride_row", x.strides[2])
            .set("stride_column", x.strides[3])
            .set("x_offset", x.offset)
            .set("regions_offset", regions.offset)
            .set("stride_region", regions.strides[0])
            .set("stride_coordinate", regions.strides[1])
    }

    /// Appends the call: its parameters, and how many elements it reads and operations it needs in all.
    pub fn call(&self, lowering: &mut Lowering<'_>, kernel: Kernel, params: Params, read: usize, flops: usize) {
        lowering.call(
            Call::of(kernel, self.out.tensor)
                .params(params)
                .reads(self.operands.iter().map(|view| view.tensor))
                .over(self.workgroups)
                .cost(cost(kernel.row().class, read, self.count, flops)),
        );
    }
}

/// Sizes innermost first, padded with 1.
pub fn sizes(list: &[usize]) -> [usize; 4] {
    reversed(list, 1)
}

/// Strides innermost first, padded with 0.
pub fn strides(list: &[i64]) -> [u32; 4] {
    reversed(&list.iter().map(|s| word(*s)).collect::<Vec<_>>(), 0)
}
