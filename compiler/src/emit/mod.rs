//! Emit: a kernel body and an element-wise program → one linked WGSL module.
//!
//! The text is body, weight access, functions and generated expression, in this order, so that line numbers of bodies stay
//! true. naga parses and validates every module with the default capabilities, and what the runtime needs to know is
//! reflected from naga's module and compared with the kernel table. The text depends on the kernel and the expression alone.
//! It deliberately knows no shapes: these are parameters.

mod cache;
mod codegen;
mod expression;
mod reflect;
#[cfg(test)]
mod tests;

pub use cache::KernelCache;
pub use expression::{Expression, operand_count};

use crate::graph::constant::Dtype;
use crate::kernels::{FUNCTIONS, Kernel, Links, WEIGHT_TEXEL};

/// A linked, validated kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// The kernel and its operations, for people.
    pub label: String,
    /// WGSL.
    pub source: String,
    /// Bytes of the parameter block.
    pub params_bytes: u32,
    /// Byte offset of the slot table within it.
    pub slots_offset: Option<u32>,
    /// Byte offset of the table of operand places within it.
    pub operands_offset: Option<u32>,
    /// Whether binding 1 is used.
    pub uses_weights: bool,
    /// Storage buffers from binding 2 on.
    pub storage_bindings: u32,
    /// Invocations of a workgroup.
    pub workgroup_size: [u32; 3],
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
}

/// A kernel cannot be linked. All of these are mistakes of lowering or of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// An element-wise function has no form for a type.
    #[error("kernel {kernel:?}: {function} has no form for {dtype:?}")]
    Unsupported {
        /// The kernel.
        kernel: Kernel,
        /// The function.
        function: String,
        /// The type.
        dtype: Dtype,
    },
    /// The kernel needs an expression and has none, or has one and takes none.
    #[error("kernel {kernel:?} links {links:?}, which does not fit its expression: {reason}")]
    Expression {
        /// The kernel.
        kernel: Kernel,
        /// What it links.
        links: Links,
        /// Why.
        reason: &'static str,
    },
    /// naga does not accept the module.
    #[error("kernel {kernel:?} is not valid WGSL: {message}")]
    Wgsl {
        /// The kernel.
        kernel: Kernel,
        /// naga's message with its source span.
        message: String,
    },
    /// The kernel table or the conventions say something else than the module.
    #[error("kernel {kernel:?}: {what} should be {claimed}, the module has {found}")]
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

/// Links a kernel with an element-wise program.
///
/// # Errors
/// See [`EmitError`].
pub fn link(kernel: Kernel, expression: Option<&Expression>) -> Result<Linked, EmitError> {
    let row = kernel.row();
    let generated = codegen::generate(kernel, expression)?;
    let mut source = row.body.to_owned();
    let mut append = |text: &str| {
        if !text.is_empty() {
            source.push('\n');
            source.push_str(text);
        }
    };
    if row.uses_weight_texel {
        append(WEIGHT_TEXEL);
    }
    if row.uses_functions || generated.uses_functions {
        append(FUNCTIONS);
    }
    append(&generated.text);
    let added = expression.map_or(0, |e| e.added_buffers(kernel));
    let reflected = reflect::reflect(kernel, &source, added)?;
    Ok(Linked {
        label: codegen::label(kernel, expression),
        source: without_comments(&source),
        params_bytes: reflected.params_bytes,
        slots_offset: reflected.slots_offset,
        operands_offset: reflected.operands_offset,
        uses_weights: reflected.uses_weights,
        storage_bindings: reflected.storage_bindings,
        workgroup_size: reflected.workgroup_size,
        workgroup_bytes: reflected.workgroup_bytes,
    })
}

/// The text without line comments, indentation and empty lines: what a bundle carries and a session holds in memory. WGSL
/// has no string literals, so `//` always starts a comment; our files have no block comments.
fn without_comments(source: &str) -> String {
    let lines = source.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect()
}
