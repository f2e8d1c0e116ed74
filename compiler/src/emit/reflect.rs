//! What naga says about a linked module, compared with the kernel table and the conventions of all kernels.
//!
//! Checked: one compute entry point `main`; binding 0 a uniform block; binding 1 the weights, raw, if and only if claimed, with
//! as many steps in a texel as their encoding has; storage buffers read-write, contiguous from 2, the kernel's own named as
//! claimed; the tile constants; the fields that count rounds of loops; sizes that lowering has too; plain WebGPU limits. Not
//! checked: what the kernel computes, and how many workgroups it is launched with.

use super::block::Block;
use super::error::EmitError;
use super::place::Place;
use crate::kernels::{Hook, Kernel, MAX_EPILOGUE_OPERANDS, MAX_SCORE_OPERANDS, PANEL};
use crate::narrow::index32;
use flashmem_plan_format::plan::{Encoding, MAX_PAGES_PER_DISPATCH, PAGE_WIDTH_TEXELS};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{
    AddressSpace, Expression, GlobalVariable, ImageClass, ImageDimension, Literal, Module, ScalarKind, ShaderStage,
    StorageAccess, TypeInner,
};

/// What plain WebGPU has: `unpack2x16float` is part of it, and naga counts it apart for the sake of old OpenGL.
const CAPABILITIES: Capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;

/// Storage buffers that plain WebGPU allows in one stage.
const MAX_STORAGE_BUFFERS: u32 = 8;
/// Invocations that plain WebGPU allows in one workgroup.
const MAX_INVOCATIONS: u32 = 256;
/// Workgroup memory that plain WebGPU allows.
const MAX_WORKGROUP_BYTES: u32 = 16 * 1024;
/// What cooperative sources have beside that, and their workgroup memory: devices that multiply matrices have as much.
const COOPERATIVE_CAPABILITIES: Capabilities = Capabilities::SHADER_FLOAT16.union(Capabilities::COOPERATIVE_MATRIX);
const MAX_COOPERATIVE_BYTES: u32 = 48 * 1024;

/// What the runtime needs to know.
pub struct Reflected {
    pub block: Block,
    pub uses_weights: bool,
    pub storage_bindings: u32,
    pub workgroup_size: [u32; 3],
    pub workgroup_bytes: u32,
}

/// What a kernel computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arithmetic {
    /// f32, with plain WebGPU.
    Single,
    /// Matrices of halves, with extensions.
    Cooperative,
    /// The same, where calls say by what rows become halves.
    Scaled,
}

impl Arithmetic {
    /// What modules may use, and bytes of workgroup memory.
    fn limits(self) -> (Capabilities, u32) {
        match self {
            Self::Single => (CAPABILITIES, MAX_WORKGROUP_BYTES),
            Self::Cooperative | Self::Scaled => (CAPABILITIES | COOPERATIVE_CAPABILITIES, MAX_COOPERATIVE_BYTES),
        }
    }
}

/// Parses, validates and reflects a module; `places` has a place for each of its lines, and `added` is the number of buffers
/// that its expression declares.
pub fn reflect(
    kernel: Kernel,
    (encoding, arithmetic): (Option<Encoding>, Arithmetic),
    source: &str,
    places: &[Place],
    added: u32,
) -> Result<Reflected, EmitError> {
    let invalid = |message, found: Option<naga::SourceLocation>| {
        let line = found.map_or(0, |found| found.line_number.saturating_sub(1) as usize);
        let place = places.get(line).copied().unwrap_or(Place { file: kernel.row().body.name, line: 1 });
        EmitError::Wgsl { kernel, place, message }
    };
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|error| invalid(error.emit_to_string(source), error.location(source)))?;
    let (capabilities, most_bytes) = arithmetic.limits();
    Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .map_err(|error| invalid(error.emit_to_string(source), error.location(source)))?;
    let entry = match module.entry_points.as_slice() {
        [entry] if entry.name == "main" && entry.stage == ShaderStage::Compute => entry,
        other => {
            let names: Vec<&str> = other.iter().map(|e| e.name.as_str()).collect();
            return Err(claim(kernel, "entry point", "one compute entry point main", format!("{names:?}")));
        }
    };
    let params = uniform_block(kernel, &module)?;
    let reflected = Reflected {
        block: Block::new(kernel, &module, params.0, params.1),
        uses_weights: binding(&module, 1).is_some(),
        storage_bindings: storage_bindings(kernel, &module)?,
        workgroup_size: entry.workgroup_size,
        workgroup_bytes: workgroup_bytes(&module),
    };
    check(kernel, &module, &reflected, added, most_bytes)?;
    check_weights(kernel, encoding, &module)?;
    check_rounds(kernel, &reflected.block)?;
    check_sizes(kernel, &module, params.1)?;
    Ok(reflected)
}

fn claim(kernel: Kernel, what: &'static str, claimed: impl ToString, found: impl ToString) -> EmitError {
    EmitError::Claim { kernel, what, claimed: claimed.to_string(), found: found.to_string() }
}

fn binding(module: &Module, number: u32) -> Option<&GlobalVariable> {
    let at = |v: &GlobalVariable| v.binding.as_ref().is_some_and(|b| b.group == 0 && b.binding == number);
    module.global_variables.iter().map(|(_, v)| v).find(|v| at(v))
}

fn uniform_block(kernel: Kernel, module: &Module) -> Result<(u32, &[naga::StructMember]), EmitError> {
    let missing = || claim(kernel, "binding 0", "a uniform structure", "something else");
    let params = binding(module, 0).filter(|v| v.space == AddressSpace::Uniform).ok_or_else(missing)?;
    let TypeInner::Struct { members, span } = &module.types[params.ty].inner else { return Err(missing()) };
    Ok((*span, members))
}

/// Number of storage buffers, which must be read-write, in group 0 and contiguous from binding 2.
fn storage_bindings(kernel: Kernel, module: &Module) -> Result<u32, EmitError> {
    let mut numbers = Vec::new();
    for (_, variable) in module.global_variables.iter() {
        if let AddressSpace::Storage { access } = variable.space {
            let number = variable.binding.as_ref().filter(|b| b.group == 0).map(|b| b.binding);
            let read_write = access == StorageAccess::LOAD | StorageAccess::STORE;
            numbers.push(number.filter(|_| read_write));
        }
    }
    numbers.sort_unstable();
    let expected: Vec<Option<u32>> = (2..2 + index32(numbers.len())).map(Some).collect();
    if numbers != expected {
        return Err(claim(kernel, "read-write storage bindings", format!("{expected:?}"), format!("{numbers:?}")));
    }
    Ok(index32(numbers.len()))
}

/// Workgroup memory as WebGPU counts it: every variable rounded up to 16 bytes.
fn workgroup_bytes(module: &Module) -> u32 {
    let variables = module.global_variables.iter().map(|(_, v)| v).filter(|v| v.space == AddressSpace::WorkGroup);
    variables.map(|v| module.types[v.ty].inner.size(module.to_ctx()).next_multiple_of(16)).sum()
}

fn check(kernel: Kernel, module: &Module, found: &Reflected, added: u32, most_bytes: u32) -> Result<(), EmitError> {
    let row = kernel.row();
    if found.uses_weights != row.uses_weights {
        return Err(claim(kernel, "use of weights", row.uses_weights, found.uses_weights));
    }
    if found.block.slots_offset().is_some() != row.uses_weights {
        return Err(claim(kernel, "a slot table", row.uses_weights, found.block.slots_offset().is_some()));
    }
    let takes_operands = row.hook == Hook::Epilogue;
    if found.block.offset_of("operands").is_some() != takes_operands {
        return Err(claim(kernel, "a table of operands", takes_operands, found.block.offset_of("operands").is_some()));
    }
    let expected = index32(row.buffers.len()) + added;
    if found.storage_bindings != expected || expected > MAX_STORAGE_BUFFERS {
        let claimed = expected.min(MAX_STORAGE_BUFFERS);
        return Err(claim(kernel, "storage buffers", claimed, found.storage_bindings));
    }
    for (position, name) in row.buffers.iter().enumerate() {
        let actual = binding(module, 2 + index32(position)).and_then(|v| v.name.as_deref());
        if actual != Some(name) {
            return Err(claim(kernel, "a buffer", name, actual.unwrap_or("unnamed")));
        }
    }
    for (name, value) in row.tile.iter().flatten() {
        let actual = constant(module, name);
        if actual != Some(*value) {
            return Err(claim(kernel, "a tile constant", format!("{name} = {value}"), format!("{actual:?}")));
        }
    }
    let invocations: u32 = found.workgroup_size.iter().product();
    if invocations > MAX_INVOCATIONS {
        return Err(claim(kernel, "invocations", format!("at most {MAX_INVOCATIONS}"), invocations));
    }
    if found.workgroup_bytes > most_bytes {
        return Err(claim(kernel, "workgroup bytes", format!("at most {most_bytes}"), found.workgroup_bytes));
    }
    Ok(())
}

/// Weights are read as raw texels, and decoded as what they are.
fn check_weights(kernel: Kernel, encoding: Option<Encoding>, module: &Module) -> Result<(), EmitError> {
    let uses_weights = kernel.row().uses_weights;
    if encoding.is_some() != uses_weights {
        return Err(claim(kernel, "an encoding of weights", uses_weights, format!("{encoding:?}")));
    }
    let raw = TypeInner::Image {
        dim: ImageDimension::D2,
        arrayed: true,
        class: ImageClass::Sampled { kind: ScalarKind::Uint, multi: false },
    };
    let found = binding(module, 1).map(|weights| &module.types[weights.ty].inner);
    if let Some(found) = found.filter(|found| **found != raw) {
        return Err(claim(kernel, "the weight arena", "texture_2d_array<u32>", format!("{found:?}")));
    }
    let (claimed, found) = (encoding.map(Encoding::depth), constant(module, "DEPTH"));
    if claimed != found {
        return Err(claim(kernel, "steps of k in a texel", format!("{claimed:?}"), format!("{found:?}")));
    }
    Ok(())
}

/// The fields from which the rounds of loops are counted are there.
fn check_rounds(kernel: Kernel, block: &Block) -> Result<(), EmitError> {
    match kernel.row().rounds.fields.iter().find(|field| !block.has_integer(field)) {
        Some(missing) => Err(claim(kernel, "a field of the rounds", missing, "none of that name")),
        None => Ok(()),
    }
}

/// Numbers that kernels and lowering both have: where a kernel has one, it is lowering's.
fn check_sizes(kernel: Kernel, module: &Module, members: &[naga::StructMember]) -> Result<(), EmitError> {
    for (name, claimed) in [("PANEL", PANEL as u32), ("PAGE_WIDTH", PAGE_WIDTH_TEXELS)] {
        if let Some(found) = constant(module, name).filter(|found| *found != claimed) {
            return Err(claim(kernel, "a constant", format!("{name} = {claimed}"), found));
        }
    }
    let arrays = [
        ("slots", MAX_PAGES_PER_DISPATCH.div_ceil(4)),
        ("operands", MAX_EPILOGUE_OPERANDS as u32),
        ("score_strides", MAX_SCORE_OPERANDS as u32),
    ];
    for (name, claimed) in arrays {
        let found = members.iter().find(|m| m.name.as_deref() == Some(name)).map(|m| &module.types[m.ty].inner);
        let size = match found {
            Some(TypeInner::Array { size: naga::ArraySize::Constant(size), .. }) => size.get(),
            Some(_) => 0,
            None => continue,
        };
        if size != claimed {
            return Err(claim(kernel, "the size of an array", format!("{name} {claimed}"), size));
        }
    }
    Ok(())
}

fn constant(module: &Module, name: &str) -> Option<u32> {
    let (_, constant) = module.constants.iter().find(|(_, c)| c.name.as_deref() == Some(name))?;
    let Expression::Literal(Literal::U32(value)) = module.global_expressions[constant.init] else { return None };
    Some(value)
}
