//! What a run finds for its inputs: plain data for all who read them.

use crate::api::Tensor;
use flashmem_plan_format::plan::BufferSlice;

/// What a run finds for an input.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound<'a> {
    /// A tensor of the caller.
    Given(&'a Tensor),
    /// What an earlier run has handed over, on the device.
    Handed(BufferSlice),
}

impl<'a> Bound<'a> {
    /// The tensor of an input that the host reads.
    pub(super) fn tensor(self) -> &'a Tensor {
        match self {
            Self::Given(tensor) => tensor,
            Self::Handed(_) => unreachable!("opening refuses connections to inputs that the host reads"),
        }
    }
}
