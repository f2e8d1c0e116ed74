//! How numbers are stored: floats, or blocks of small integers with a scale.
//!
//! A block is a run along k of one column of a weight, or along a row of a table. Its elements are codes of 4 or 8 bits without
//! sign. An element is `(code − zero) · scale`, or `code · scale + minimum`; what a block has beside its codes is said by
//! [`BlockEncoding`]. Elements are f32, rounded once, or then to f16 where the encoding says so. This file deliberately holds no
//! bytes: `docs/format.md` says how blocks lie in pages and rows.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of a texel of the weight arena, which is `rgba32uint` whatever its weights are encoded in: kernels decode them.
pub const TEXEL_BYTES: u32 = 16;

/// How numbers are stored: those of a weight in the pages, or of a row table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Small integers in blocks.
    Block(BlockEncoding),
}

/// How blocks of small integers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlockEncoding {
    /// Bits of a code.
    pub bits: CodeBits,
    /// Elements of a block.
    pub length: BlockLength,
    /// How its scale is stored.
    pub scale: ScaleFormat,
    /// What else it has.
    pub offset: CodeOffset,
    /// Whether elements are rounded to f16, half to even.
    pub rounded: bool,
}

/// Bits of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CodeBits {
    /// Codes 0 to 15.
    Four,
    /// Codes 0 to 255.
    Eight,
}

/// Elements of a block; the last one may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BlockLength {
    /// 16.
    L16,
    /// 32.
    L32,
    /// 64.
    L64,
    /// 128.
    L128,
    /// 256.
    L256,
    /// All of a column, or of a row.
    Whole,
}

/// How a scale is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ScaleFormat {
    /// f16.
    F16,
    /// f32.
    F32,
}

/// What a block has beside its codes and its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CodeOffset {
    /// Nothing: the zero is half of the codes, 8 or 128.
    Middle,
    /// A zero, as a byte.
    ZeroPoint,
    /// A minimum, as f16.
    Minimum,
    /// A minimum, as f32.
    WideMinimum,
}

impl CodeBits {
    /// Number of bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
    /// The code of zero where a block has none of its own.
    pub const fn middle(self) -> u32 {
        1 << (self.bits() - 1)
    }
    /// The largest code.
    pub const fn max_code(self) -> u32 {
        (1 << self.bits()) - 1
    }
}

impl BlockLength {
    /// All lengths, the longest first.
    pub const ALL: [Self; 6] = [Self::Whole, Self::L256, Self::L128, Self::L64, Self::L32, Self::L16];

    /// log2 of the elements; 31, more than a line has, for all of it.
    pub const fn log2(self) -> u32 {
        match self {
            Self::L16 => 4,
            Self::L32 => 5,
            Self::L64 => 6,
            Self::L128 => 7,
            Self::L256 => 8,
            Self::Whole => 31,
        }
    }
    /// Blocks of a line of so many elements.
    pub const fn blocks(self, elements: u64) -> u64 {
        elements.div_ceil(1 << self.log2())
    }
}

impl ScaleFormat {
    /// Bytes of a scale.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

impl CodeOffset {
    /// Bytes that a block has for it.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Middle => 0,
            Self::ZeroPoint => 1,
            Self::Minimum => 2,
            Self::WideMinimum => 4,
        }
    }
}

impl BlockEncoding {
    /// Blocks of 32 with f16 scales about the middle.
    const fn usual(bits: CodeBits) -> Self {
        Self { bits, length: BlockLength::L32, scale: ScaleFormat::F16, offset: CodeOffset::Middle, rounded: false }
    }
    /// Bytes of a block beside its codes.
    pub const fn head_bytes(self) -> u32 {
        self.scale.bytes() + self.offset.bytes()
    }
}

impl Encoding {
    /// 8-bit codes in blocks of 32 with f16 scales: 8.5 bits an element.
    pub const Q8: Self = Self::Block(BlockEncoding::usual(CodeBits::Eight));
    /// 4-bit codes in blocks of 32 with f16 scales: 4.5 bits an element.
    pub const Q4: Self = Self::Block(BlockEncoding::usual(CodeBits::Four));
    /// The encodings that float weights are brought into on request.
    pub const NAMED: [Self; 4] = [Self::F32, Self::F16, Self::Q8, Self::Q4];

    /// Bits of an element, without what blocks have beside their codes.
    pub const fn bits(self) -> u32 {
        match self {
            Self::F32 => 32,
            Self::F16 => 16,
            Self::Block(block) => block.bits.bits(),
        }
    }
    /// Steps of k in a texel, which holds four columns.
    pub const fn depth(self) -> u32 {
        8 * TEXEL_BYTES / (4 * self.bits())
    }
    /// Bytes of a line of so many elements, a column of a weight or a row of a table, without padding at its end.
    pub const fn line_bytes(self, elements: u64) -> u64 {
        let codes = (elements * self.bits() as u64).div_ceil(8);
        match self {
            Self::F32 | Self::F16 => codes,
            Self::Block(block) => codes + block.length.blocks(elements) * block.head_bytes() as u64,
        }
    }
    /// Texels in front of a panel of 32 columns and so many k: what its blocks have beside their codes, block by block, scales
    /// first; whole rows of 8 texels.
    pub const fn head_texels(self, k: u64) -> u64 {
        match self {
            Self::F32 | Self::F16 => 0,
            Self::Block(block) => {
                let bytes = block.length.blocks(k) * 32 * block.head_bytes() as u64;
                bytes.div_ceil(8 * TEXEL_BYTES as u64) * 8
            }
        }
    }
}

/// Its name in options and reports.
impl fmt::Display for Encoding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let block = match self {
            Self::F32 => return out.pad("f32"),
            Self::F16 => return out.pad("f16"),
            Self::Block(block) => block,
        };
        let mut name = format!("q{}", block.bits.bits());
        match block.length {
            BlockLength::L32 => {}
            BlockLength::Whole => name.push_str(" by channel"),
            BlockLength::L16 | BlockLength::L64 | BlockLength::L128 | BlockLength::L256 => {
                name.push_str(&format!(" of {}", 1 << block.length.log2()));
            }
        }
        name.push_str(match block.scale {
            ScaleFormat::F16 => "",
            ScaleFormat::F32 => ", f32 scales",
        });
        name.push_str(match block.offset {
            CodeOffset::Middle => "",
            CodeOffset::ZeroPoint => ", zero points",
            CodeOffset::Minimum => ", minima",
            CodeOffset::WideMinimum => ", f32 minima",
        });
        name.push_str(if block.rounded { ", rounded to f16" } else { "" });
        out.pad(&name)
    }
}
