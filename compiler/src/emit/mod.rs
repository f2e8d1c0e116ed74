//! Emit: a kernel body and an element-wise program → one linked WGSL module.
//!
//! The text is the decoding of weights, body, shared files, functions and generated expression, in this order, without comments
//! and indentation. What is marked in a kernel is unrolled (`unroll`); messages name the line that the kernel's source has. naga
//! parses and validates every module with what plain WebGPU has, and what the runtime needs to know is reflected from naga's
//! module and compared with the kernel table. The text depends on the kernel, the encoding and the expression alone.
//! It deliberately knows no shapes: these are parameters.

mod block;
mod cache;
mod codegen;
mod expression;
mod hidden;
mod mistake;
mod names;
mod place;
mod reflect;
mod registers;
#[cfg(test)]
mod tests;
mod tokens;
mod unroll;

pub use block::{Block, ParamError, ParamMistake};
pub use cache::{KernelCache, LinkKey};
pub use expression::{Expression, operand_count};
pub use mistake::{Mistake, UnrollError};
pub use place::Place;

use crate::graph::constant::Dtype;
use crate::kernels::{FUNCTIONS, Hook, Kernel, decoding};
use flashmem_plan_format::plan::Encoding;
use tokens::Text;

/// A linked, validated kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// The kernel and its operations, for people.
    pub label: String,
    /// WGSL.
    pub source: String,
    /// Its parameter block.
    pub block: Block,
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
    #[error("kernel {kernel:?} links {hook:?}, which does not fit its expression: {reason}")]
    Expression {
        /// The kernel.
        kernel: Kernel,
        /// The hook that its body calls.
        hook: Hook,
        /// Why.
        reason: &'static str,
    },
    /// What is marked in the kernel cannot be unrolled.
    #[error("kernel {kernel:?}: {mistake}")]
    Unroll {
        /// The kernel.
        kernel: Kernel,
        /// What, and where.
        mistake: UnrollError,
    },
    /// naga does not accept the module.
    #[error("kernel {kernel:?} is not valid WGSL at {place}: {message}")]
    Wgsl {
        /// The kernel.
        kernel: Kernel,
        /// Where in the sources.
        place: Place,
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

/// Which form of a kernel is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As devices run it: loops unrolled, arrays in registers.
    Unrolled,
    /// As it is written. It computes the same, several times slower; tests compare the two.
    Written,
}

/// Links a kernel with the encoding of the weights that it reads, if it does, and an element-wise program.
///
/// # Errors
/// See [`EmitError`].
pub fn link(kernel: Kernel, encoding: Option<Encoding>, expression: Option<&Expression>) -> Result<Linked, EmitError> {
    link_form(kernel, encoding, expression, Form::Unrolled)
}

/// Links a kernel in a form.
///
/// # Errors
/// See [`EmitError`].
pub fn link_form(
    kernel: Kernel,
    encoding: Option<Encoding>,
    expression: Option<&Expression>,
    form: Form,
) -> Result<Linked, EmitError> {
    link_text(kernel, encoding, expression, own_text(kernel, encoding, form)?)
}

/// Links a kernel whose own text is made.
fn link_text(
    kernel: Kernel,
    encoding: Option<Encoding>,
    expression: Option<&Expression>,
    own: Text,
) -> Result<Linked, EmitError> {
    let generated = codegen::generate(kernel, expression)?;
    let mistake = |mistake| EmitError::Unroll { kernel, mistake };
    let Text { mut source, mut places } = own;
    let mut append = |name, text| -> Result<(), EmitError> {
        let added = tokens::text(&tokens::tokens(name, text).map_err(mistake)?);
        source.push_str(&added.source);
        places.extend(added.places);
        Ok(())
    };
    if kernel.row().uses_functions || generated.uses_functions {
        append(FUNCTIONS.name, FUNCTIONS.text)?;
    }
    append(GENERATED, &generated.text)?;
    let added = expression.map_or(0, |e| e.added_buffers(kernel));
    let reflected = reflect::reflect(kernel, encoding, &source, &places, added)?;
    Ok(Linked {
        label: codegen::label(kernel, expression),
        source,
        block: reflected.block,
        uses_weights: reflected.uses_weights,
        storage_bindings: reflected.storage_bindings,
        workgroup_size: reflected.workgroup_size,
        workgroup_bytes: reflected.workgroup_bytes,
    })
}

/// What the text that is generated for an expression is called in messages.
const GENERATED: &str = "(generated)";

/// A kernel's own text: the decoding of its weights, its body and the files that it shares with others, its constants set. The
/// decoding comes first, since other constants follow from its own.
fn own_text(kernel: Kernel, encoding: Option<Encoding>, form: Form) -> Result<Text, EmitError> {
    let mistake = |mistake| EmitError::Unroll { kernel, mistake };
    let row = kernel.row();
    let decoding = encoding.map(decoding);
    let (files, mut constants) =
        decoding.map_or_else(Default::default, |decoding| (decoding.files, decoding.constants));
    constants.extend(row.constants);
    let mut own = Vec::new();
    for file in files.iter().chain(&[row.body]).chain(row.shared) {
        own.extend(tokens::tokens(file.name, file.text).map_err(mistake)?);
    }
    let constants = tokens::set_constants(&mut own, &constants).map_err(mistake)?;
    match form {
        Form::Unrolled => Ok(tokens::text(&unroll::unroll(&own, &constants).map_err(mistake)?)),
        Form::Written => Ok(tokens::text(&own)),
    }
}
