//! Sizes that several checks and both sides of a bundle derive from plan types, with checked arithmetic.
//!
//! `None` means overflow. It deliberately holds no rules: limits are in `plan.rs`, `container/limits.rs` and `validate/`.

use crate::plan::{BufferSlice, ElementType, IntegerCheck, Plan, Port, RowTable};

/// Bytes of every element on the device, whatever its type at the API.
pub const DEVICE_ELEMENT_BYTES: u64 = 4;

impl ElementType {
    /// Bytes of one element at the API (and in golden inputs and outputs).
    pub const fn api_bytes(self) -> u64 {
        match self {
            Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 => 2,
            Self::U8 | Self::I8 | Self::Bool => 1,
        }
    }
}

/// A dense tensor that is read back after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadBack<'p> {
    /// Element type at the API.
    pub element: ElementType,
    /// Dimensions.
    pub shape: &'p [u64],
    /// Where it lies; a valid plan says it.
    pub slice: Option<BufferSlice>,
}

impl<'p> From<&'p Port> for ReadBack<'p> {
    fn from(port: &'p Port) -> Self {
        Self { element: port.element, shape: &port.shape, slice: port.slice }
    }
}

impl From<&IntegerCheck> for ReadBack<'_> {
    fn from(check: &IntegerCheck) -> Self {
        Self { element: ElementType::I32, shape: &[], slice: Some(check.slice) }
    }
}

impl Port {
    /// Product of the dimensions; 1 for a scalar.
    pub fn elements(&self) -> Option<u64> {
        ReadBack::from(self).elements()
    }

    /// Bytes of the dense tensor at the API.
    pub fn api_bytes(&self) -> Option<u64> {
        ReadBack::from(self).api_bytes()
    }

    /// Bytes of the dense tensor on the device.
    pub fn device_bytes(&self) -> Option<u64> {
        ReadBack::from(self).device_bytes()
    }
}

impl ReadBack<'_> {
    /// Product of the dimensions; 1 for a scalar.
    pub fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, dimension| product.checked_mul(*dimension))
    }

    /// Bytes of the dense tensor at the API.
    pub fn api_bytes(&self) -> Option<u64> {
        self.elements()?.checked_mul(self.element.api_bytes())
    }

    /// Bytes of the dense tensor on the device.
    pub fn device_bytes(&self) -> Option<u64> {
        self.elements()?.checked_mul(DEVICE_ELEMENT_BYTES)
    }
}

impl RowTable {
    /// Bytes of all rows with their checksums.
    pub fn table_bytes(&self) -> Option<u64> {
        self.row_stride_bytes().checked_mul(u64::from(self.rows))
    }
}

impl Plan {
    /// Length of the bundle's `rows` section.
    pub fn rows_bytes(&self) -> Option<u64> {
        self.row_tables.iter().try_fold(0_u64, |sum, table| sum.checked_add(table.table_bytes()?))
    }

    /// Length of the bundle's `pages` section.
    pub fn pages_bytes(&self) -> Option<u64> {
        self.page.page_bytes().checked_mul(u64::from(self.page_count))
    }

    /// Bytes that a run uploads when it starts: all inputs and gathered rows that have a place on the device.
    pub fn input_upload_bytes(&self) -> Option<u64> {
        let inputs = self.inputs.iter().filter_map(|port| port.slice);
        let gathers = self.row_gathers.iter().map(|gather| gather.destination);
        inputs.chain(gathers).try_fold(0_u64, |sum, slice| sum.checked_add(slice.size_bytes))
    }

    /// Bytes of the state buffer.
    pub fn state_bytes(&self) -> Option<u64> {
        self.states.last().map_or(Some(0), |state| state.slice.offset_bytes.checked_add(state.slice.size_bytes))
    }

    /// Rows that all gathers place: one for each of their indices.
    pub fn gathered_indices(&self) -> Option<u64> {
        self.row_gathers.iter().try_fold(0_u64, |sum, gather| sum.checked_add(gather.indices.count()?))
    }
}
