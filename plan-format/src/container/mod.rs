//! The `.fmplan` file: its layout, how it is opened and checked, and how it is written.
//!
//! `layout` holds the header and the section table, `limits` what a reader accepts, `sections` the sections that are
//! neither raw bytes nor the plan, `read` and `verify` the reader, `write` the writer. The byte tables are in
//! `docs/format.md`. Nothing here deliberately knows how pages travel to a device.

mod error;
mod layout;
pub mod limits;
mod read;
mod section_kind;
mod sections;
mod verify;
mod write;

pub use error::{BundleError, SectionError, WriteError};
#[cfg(any(test, feature = "testing"))]
pub(crate) use layout::Layout;
pub use layout::{MAGIC, Section, VERSION};
pub use read::{Bundle, OpenedBundle, OpenedNetwork};
pub use section_kind::{PAGES_ALIGNMENT, SECTION_ALIGNMENT, SectionKind};
pub use sections::Golden;
pub use write::{BundleWriter, Summary};
