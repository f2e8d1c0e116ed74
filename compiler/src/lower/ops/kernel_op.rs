//! Lowering of operators with a kernel of their own: each says it beside its other behaviour, in `operators/`.

use crate::graph::NodeId;
use crate::graph::kernel_op::{KernelOp, for_each_kernel_op};
use crate::lower::context::Lowering;
use crate::lower::error::LowerError;

/// How such an operator is lowered.
pub trait LowerKernelOp {
    /// Appends its kernel calls. The operands are f32, i32 or booleans as `infer` requires them; the epilogue is the caller's.
    ///
    /// # Errors
    /// What the kernel has no form for.
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError>;
}

/// The lowering of every operator of the list.
macro_rules! lowered {
    ($($name:ident,)*) => {
        fn behaviour(op: &KernelOp) -> &dyn LowerKernelOp {
            match op {
                $(KernelOp::$name(op) => op,)*
            }
        }
    };
}
for_each_kernel_op!(lowered);

/// Appends the kernel calls of an operator.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, op: &KernelOp) -> Result<(), LowerError> {
    behaviour(op).lower(lowering, id)
}
