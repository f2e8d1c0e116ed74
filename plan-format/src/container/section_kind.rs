//! The kinds of sections, in the order in which they stand in a file.

use std::fmt;

/// Alignment of every section but the pages.
pub const SECTION_ALIGNMENT: u64 = 8;

/// Alignment of the pages section.
pub const PAGES_ALIGNMENT: u64 = 4096;

/// What a section holds. The numbers are the file's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionKind {
    /// The plan without kernel sources.
    Plan = 1,
    /// Kernel sources.
    Kernels = 2,
    /// The resident constants buffer.
    Constants = 3,
    /// A CRC-32C for every page.
    PageChecksums = 4,
    /// Example inputs and outputs; optional.
    Golden = 5,
    /// Row tables.
    Rows = 6,
    /// Pages.
    Pages = 7,
}

impl SectionKind {
    /// All kinds, in the order in which they stand in a file.
    pub const ALL: [Self; 7] =
        [Self::Plan, Self::Kernels, Self::Constants, Self::PageChecksums, Self::Golden, Self::Rows, Self::Pages];

    /// Alignment of its start.
    pub const fn alignment(self) -> u64 {
        match self {
            Self::Pages => PAGES_ALIGNMENT,
            Self::Plan | Self::Kernels | Self::Constants | Self::PageChecksums | Self::Golden | Self::Rows => {
                SECTION_ALIGNMENT
            }
        }
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Plan => "plan",
            Self::Kernels => "kernels",
            Self::Constants => "constants",
            Self::PageChecksums => "page checksums",
            Self::Golden => "golden",
            Self::Rows => "rows",
            Self::Pages => "pages",
        })
    }
}
