//! A parameter block as naga reads it, and the bytes of a call's parameters in it.
//!
//! Every field that lowering gives must be in the block, with as many words of the same kind, and every field of the block must
//! be given, apart from padding (`pad_…`) and the slot table, which the schedule fills. A mode must be a constant of the same
//! name and value in the kernel. It deliberately knows no kernel.

use crate::kernels::Kernel;
use crate::kernels::params::{Kind, Params};
use naga::{Expression, Literal, Module, ScalarKind, StructMember, TypeInner};
use std::collections::BTreeMap;

/// The field that the schedule fills.
const SLOTS: &str = "slots";

/// A field of a parameter block.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    name: String,
    offset_bytes: u32,
    words: usize,
    kind: Kind,
}

/// The parameter block of a linked kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    kernel: Kernel,
    size_bytes: u32,
    members: Vec<Member>,
    /// Integer constants of the module.
    constants: BTreeMap<String, u32>,
}

/// Parameters do not fit the block of their kernel: a mistake of lowering or of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kernel {}: parameter `{name}` {mistake}", kernel.name())]
pub struct ParamError {
    /// The kernel.
    pub kernel: Kernel,
    /// The field.
    pub name: String,
    /// What is wrong with it.
    pub mistake: ParamMistake,
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamMistake {
    /// The call does not give it.
    #[error("is not given")]
    Missing,
    /// The kernel does not have it.
    #[error("is not in the kernel's block")]
    Unknown,
    /// The call gives it more than once.
    #[error("is given twice")]
    Twice,
    /// The number of words differs.
    #[error("has {found} words in the kernel, {claimed} are given")]
    Words {
        /// By the call.
        claimed: usize,
        /// In the kernel.
        found: usize,
    },
    /// Integers for floats, or the other way round.
    #[error("is {found:?} in the kernel, {claimed:?} is given")]
    Kind {
        /// By the call.
        claimed: Kind,
        /// In the kernel.
        found: Kind,
    },
    /// A mode has another number in the kernel, or none.
    #[error("is the mode {code} = {claimed}, which {}", in_kernel(*found))]
    Code {
        /// Name of the mode.
        code: &'static str,
        /// Its value in lowering.
        claimed: u32,
        /// The kernel's constant of that name.
        found: Option<u32>,
    },
    /// A size needs more than 32 bits.
    #[error("is beyond 32 bits")]
    TooLarge,
}

/// What a kernel says of a mode.
fn in_kernel(value: Option<u32>) -> String {
    value.map_or_else(|| "the kernel does not have".to_owned(), |value| format!("is {value} in the kernel"))
}

impl Block {
    /// The block that a module declares: its members, and the module's constants.
    pub(super) fn new(kernel: Kernel, module: &Module, size_bytes: u32, members: &[StructMember]) -> Self {
        let member = |member: &StructMember| {
            let (kind, words) = words(module, &module.types[member.ty].inner);
            Member { name: member.name.clone().unwrap_or_default(), offset_bytes: member.offset, words, kind }
        };
        let constants = module.constants.iter().filter_map(|(_, constant)| {
            let Expression::Literal(Literal::U32(value)) = module.global_expressions[constant.init] else {
                return None;
            };
            Some((constant.name.clone()?, value))
        });
        Self { kernel, size_bytes, members: members.iter().map(member).collect(), constants: constants.collect() }
    }

    /// Whether both have the same fields at the same places.
    pub fn has_fields_of(&self, other: &Self) -> bool {
        (self.size_bytes, &self.members) == (other.size_bytes, &other.members)
    }
    /// Bytes of the block.
    pub const fn size_bytes(&self) -> u32 {
        self.size_bytes
    }

    /// Where a field begins.
    pub fn offset_of(&self, name: &str) -> Option<u32> {
        self.members.iter().find(|member| member.name == name).map(|member| member.offset_bytes)
    }

    /// Where the slot table begins, of a kernel that reads weights.
    pub fn slots_offset(&self) -> Option<u32> {
        self.offset_of(SLOTS)
    }

    /// Whether a field of the block is an integer, or has the component that is named as `name.x`.
    pub(super) fn has_integer(&self, field: &str) -> bool {
        let (name, component) = field.split_once('.').unwrap_or((field, ""));
        let vector = !component.is_empty();
        let fits = |member: &Member| {
            let named = member.kind == Kind::Integer && member.name == name;
            named && if vector { member.words == 4 && "xyzw".contains(component) } else { member.words == 1 }
        };
        self.members.iter().any(fits)
    }

    /// The bytes of the block with these parameters; the slot table is zero.
    ///
    /// # Errors
    /// [`ParamError`] for the first field that does not fit.
    pub fn bytes(&self, params: &Params) -> Result<Vec<u8>, ParamError> {
        let wrong = |name: &str, mistake| ParamError { kernel: self.kernel, name: name.to_owned(), mistake };
        let mut bytes = vec![0; self.size_bytes as usize];
        for (position, field) in params.fields().iter().enumerate() {
            let member = self.members.iter().find(|member| member.name == field.name && member.name != SLOTS);
            let member = member.ok_or_else(|| wrong(field.name, ParamMistake::Unknown))?;
            if params.fields()[..position].iter().any(|other| other.name == field.name) {
                return Err(wrong(field.name, ParamMistake::Twice));
            }
            let words = field.words.as_ref().ok_or_else(|| wrong(field.name, ParamMistake::TooLarge))?;
            if words.len() != member.words {
                return Err(wrong(field.name, ParamMistake::Words { claimed: words.len(), found: member.words }));
            }
            if field.kind != member.kind {
                return Err(wrong(field.name, ParamMistake::Kind { claimed: field.kind, found: member.kind }));
            }
            if let Some(code) = field.code {
                let found = self.constants.get(code).copied();
                if found != Some(words[0]) {
                    return Err(wrong(field.name, ParamMistake::Code { code, claimed: words[0], found }));
                }
            }
            let at = member.offset_bytes as usize;
            let to = bytes[at..at + 4 * words.len()].chunks_exact_mut(4);
            to.zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
        }
        let needed = |member: &&Member| member.name != SLOTS && !member.name.starts_with("pad_");
        match self.members.iter().filter(needed).find(|m| params.fields().iter().all(|field| field.name != m.name)) {
            Some(missing) => Err(wrong(&missing.name, ParamMistake::Missing)),
            None => Ok(bytes),
        }
    }
}

/// Words of a type, and what they are; types that no block has count as none.
#[expect(clippy::wildcard_enum_match_arm, reason = "naga's types: those of parameters are few")]
fn words(module: &Module, ty: &TypeInner) -> (Kind, usize) {
    let kind = |kind: ScalarKind| if kind == ScalarKind::Float { Kind::Float } else { Kind::Integer };
    match *ty {
        TypeInner::Scalar(scalar) => (kind(scalar.kind), 1),
        TypeInner::Vector { size, scalar } => (kind(scalar.kind), size as usize),
        TypeInner::Array { base, size: naga::ArraySize::Constant(count), .. } => {
            let (kind, words) = words(module, &module.types[base].inner);
            (kind, words * count.get() as usize)
        }
        _ => (Kind::Integer, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, ParamMistake};
    use crate::emit::link;
    use crate::kernels::Kernel;
    use crate::kernels::params::{Code, Kind, Params};

    fn block() -> Block {
        link(Kernel::Softmax, None, None).expect("links").block
    }

    fn good() -> Params {
        Params::new()
            .set("rows", 3_usize)
            .set("columns", 5_usize)
            .set("lanes", 4_u32)
            .set("width", 1_u32)
            .set("x_offset", -1_i64)
            .set("x_stride", 1_i64)
            .set("out_stride", 1_i64)
            .set("extents", [1_usize, 1, 1, 3])
            .set("x_row_strides", [0_u32, 0, 0, 5])
            .set("out_row_strides", [0_u32, 0, 0, 5])
    }

    fn mistake(params: &Params) -> (String, ParamMistake) {
        let error = block().bytes(params).expect_err("does not fit");
        (error.name, error.mistake)
    }

    #[test]
    fn every_field_is_laid_out_where_the_kernel_has_it() {
        let bytes = block().bytes(&good().set("log_result", true)).expect("fits");
        let words: Vec<u32> = bytes.chunks(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(words, [3, 5, 4, 1, u32::MAX, 1, 1, 1, 1, 1, 1, 3, 0, 0, 0, 5, 0, 0, 0, 5]);
    }

    #[test]
    fn what_does_not_fit_is_told_by_name() {
        assert_eq!(mistake(&good()), ("log_result".into(), ParamMistake::Missing));
        let unknown = good().set("log_result", true).set("log", true);
        assert_eq!(mistake(&unknown), ("log".into(), ParamMistake::Unknown));
        let twice = good().set("log_result", true).set("rows", 3_usize);
        assert_eq!(mistake(&twice), ("rows".into(), ParamMistake::Twice));
        let short = good().set("log_result", [1_u32, 1]);
        assert_eq!(mistake(&short), ("log_result".into(), ParamMistake::Words { claimed: 2, found: 1 }));
        let float = good().set("log_result", 1.0_f32);
        let kinds = ParamMistake::Kind { claimed: Kind::Float, found: Kind::Integer };
        assert_eq!(mistake(&float), ("log_result".into(), kinds));
        let large = good().set("log_result", usize::MAX);
        assert_eq!(mistake(&large), ("log_result".into(), ParamMistake::TooLarge));
        let large = good().set("log_result", [1_usize << 32]);
        assert_eq!(mistake(&large), ("log_result".into(), ParamMistake::TooLarge), "a list is not cut either");
        let code = good().code("log_result", Code::new("LOGARITHM", 1));
        let none = ParamMistake::Code { code: "LOGARITHM", claimed: 1, found: None };
        assert_eq!(mistake(&code), ("log_result".into(), none));
    }
}
