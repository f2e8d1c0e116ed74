//! Why a kernel cannot be linked.

use super::mistake::UnrollError;
use super::place::Place;
use crate::graph::constant::Dtype;
use crate::kernels::{Hook, Kernel};

/// A kernel cannot be linked. All of these are mistakes of lowering or of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// An element-wise function has no form for a type.
    #[error("kernel {}: {function} has no form for {dtype:?}", kernel.name())]
    Unsupported {
        /// The kernel.
        kernel: Kernel,
        /// The function.
        function: String,
        /// The type.
        dtype: Dtype,
    },
    /// The kernel needs an expression and has none, or has one and takes none.
    #[error("kernel {} links {hook:?}, which does not fit its expression: {reason}", kernel.name())]
    Expression {
        /// The kernel.
        kernel: Kernel,
        /// The hook that its body calls.
        hook: Hook,
        /// Why.
        reason: &'static str,
    },
    /// What is marked in the kernel cannot be unrolled.
    #[error("kernel {}: {mistake}", kernel.name())]
    Unroll {
        /// The kernel.
        kernel: Kernel,
        /// What, and where.
        mistake: UnrollError,
    },
    /// naga does not accept the module.
    #[error("kernel {} is not valid WGSL at {place}: {message}", kernel.name())]
    Wgsl {
        /// The kernel.
        kernel: Kernel,
        /// Where in the sources.
        place: Place,
        /// naga's message with its source span.
        message: String,
    },
    /// The kernel table or the conventions say something else than the module.
    #[error("kernel {}: {what} should be {claimed}, the module has {found}", kernel.name())]
    Claim {
        /// The kernel.
        kernel: Kernel,
        /// What was compared.
        what: &'static str,
        /// The table.
        claimed: String,
        /// The module.
        found: String,
    },
}
