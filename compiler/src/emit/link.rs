//! Links a kernel: what its weights' encoding, its row and its expression name becomes one validated module.

use super::block::Block;
use super::called::called;
use super::error::EmitError;
use super::expression::Expression;
use super::reflect::{Arithmetic, Reflected};
use super::tokens::Text;
use super::{codegen, reflect, tokens, unroll};
use crate::kernels::{COOPERATIVE_EXTENSIONS, FUNCTIONS, Kernel, decoding};
use flashmem_plan_format::plan::{Cooperative, Encoding};

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
    /// The same for devices that multiply matrices of halves.
    pub cooperative: Option<Cooperative>,
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
    let own = own_text(kernel, encoding, Arithmetic::Single, form)?;
    link_text(kernel, (encoding, Arithmetic::Single), expression, own)
}

impl Linked {
    /// Whether one module can take the place of the other: the same parameters and bindings.
    pub fn has_layout_of(&self, other: &Self) -> bool {
        self.block.has_fields_of(&other.block)
            && (self.uses_weights, self.storage_bindings) == (other.uses_weights, other.storage_bindings)
    }
}

/// Links a kernel whose own text is made, without another source beside it.
pub fn link_text(
    kernel: Kernel,
    (encoding, arithmetic): (Option<Encoding>, Arithmetic),
    expression: Option<&Expression>,
    own: Text,
) -> Result<Linked, EmitError> {
    let generated = codegen::generate(kernel, expression)?;
    let mistake = |mistake| EmitError::Unroll { kernel, mistake };
    let Text { mut source, mut places } = own;
    let generated_tokens = tokens::tokens(GENERATED, &generated.text).map_err(mistake)?;
    let mut functions = Vec::new();
    if kernel.row().uses_functions || generated.uses_functions {
        let all = tokens::tokens(FUNCTIONS.name, FUNCTIONS.text).map_err(mistake)?;
        functions = called(&all, [&source, &generated.text]).map_err(mistake)?;
    }
    for tokens in [functions, generated_tokens] {
        let added = tokens::text(&tokens);
        source.push_str(&added.source);
        places.extend(added.places);
    }
    let added = expression.map_or(0, |e| e.added_buffers(kernel));
    let reflected = reflect::reflect(kernel, (encoding, arithmetic), &source, &places, added)?;
    let Reflected { block, uses_weights, storage_bindings, workgroup_size, workgroup_bytes } = reflected;
    let label = codegen::label(kernel, expression);
    Ok(Linked {
        label,
        source,
        block,
        uses_weights,
        storage_bindings,
        workgroup_size,
        workgroup_bytes,
        cooperative: None,
    })
}

/// What the text that is generated for an expression is called in messages.
const GENERATED: &str = "(generated)";

/// A kernel's own text: the decoding of its weights, its body and the files that it shares with others, its constants set. The
/// decoding comes first, since other constants follow from its own.
pub fn own_text(
    kernel: Kernel,
    encoding: Option<Encoding>,
    arithmetic: Arithmetic,
    form: Form,
) -> Result<Text, EmitError> {
    let mistake = |mistake| EmitError::Unroll { kernel, mistake };
    let row = kernel.row();
    let decoding = encoding.map(decoding);
    let (files, mut constants) =
        decoding.map_or_else(Default::default, |decoding| (decoding.files, decoding.constants));
    let (extensions, body_and_shared, row_constants) = match arithmetic {
        Arithmetic::Single => {
            (None, std::iter::once(&row.body).chain(row.shared).copied().collect(), row.constants.to_vec())
        }
        Arithmetic::Cooperative | Arithmetic::Scaled => {
            let (files, mut constants) = kernel.cooperative_parts();
            if arithmetic == Arithmetic::Scaled {
                constants.push(("SCALE_IS_GIVEN", 1));
            }
            (Some(COOPERATIVE_EXTENSIONS), files, constants)
        }
    };
    constants.extend(row_constants);
    let mut own = Vec::new();
    for file in extensions.iter().chain(&files).chain(&body_and_shared) {
        own.extend(tokens::tokens(file.name, file.text).map_err(mistake)?);
    }
    let constants = tokens::set_constants(&mut own, &constants).map_err(mistake)?;
    match form {
        Form::Unrolled => Ok(tokens::text(&unroll::unroll(&own, &constants).map_err(mistake)?)),
        Form::Written => Ok(tokens::text(&own)),
    }
}
