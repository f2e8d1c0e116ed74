//! What a plan implies: sizes, the memory declaration, and what it uses of a device's limits.
//!
//! The compiler declares these numbers, `validate` computes them again and compares, and the runtime allocates by them. Rules are
//! not here.

mod memory;
mod requirements;
mod sizes;

pub(crate) use memory::memory_kinds;
pub use memory::{
    DECODED_PLAN_FACTOR, GATHERED_INDEX_BYTES, GATHERED_ROWS_IN_FLIGHT, MAX_READBACK_BYTES, PAGE_CHECKSUM_BYTES,
    READ_BUFFERS_BYTES,
};
pub use requirements::Limit;
pub(crate) use requirements::{User, for_each_use};
pub use sizes::{DEVICE_ELEMENT_BYTES, ReadBack};
