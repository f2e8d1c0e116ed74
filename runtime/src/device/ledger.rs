//! What a session really holds: every device resource by kind and size, and the host's own memory.
//!
//! Two views of the device are kept. The ledger counts each resource at its size rounded up to the allocation granule; the
//! allocator's report, where the backend gives one, counts what was taken from the driver since before the first resource.
//! The measured peak is the larger view plus the host's bytes, at the worst of all samples. What drivers hold for
//! pipelines, descriptors and command buffers is deliberately not in it: no API reports it.

use crate::api::Error;
use flashmem_plan_format::plan::{ALLOCATION_GRANULE_BYTES, MemoryDeclaration, TEXTURE_GRANULE_BYTES};
use wgpu::Device;

/// What a device resource is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    WeightArena,
    Staging,
    Activations,
    Constants,
    States,
    Params,
    InputStaging,
    Readback,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::WeightArena,
        Self::Staging,
        Self::Activations,
        Self::Constants,
        Self::States,
        Self::Params,
        Self::InputStaging,
        Self::Readback,
    ];

    /// What a plan declares for this kind.
    const fn declared_bytes(self, declared: &MemoryDeclaration) -> u64 {
        match self {
            Self::WeightArena => declared.weight_arena_bytes,
            Self::Staging => declared.staging_bytes,
            Self::Activations => declared.activation_bytes,
            Self::Constants => declared.constant_bytes,
            Self::States => declared.state_bytes,
            Self::Params => declared.params_bytes,
            Self::InputStaging => declared.input_staging_bytes,
            Self::Readback => declared.readback_bytes,
        }
    }

    /// Size of a resource of this kind, in whole granules.
    const fn whole_granules(self, size_bytes: u64) -> u64 {
        match self {
            Self::WeightArena => size_bytes.next_multiple_of(TEXTURE_GRANULE_BYTES),
            Self::Staging
            | Self::Activations
            | Self::Constants
            | Self::States
            | Self::Params
            | Self::InputStaging
            | Self::Readback => size_bytes.next_multiple_of(ALLOCATION_GRANULE_BYTES),
        }
    }

    /// Label of the resource, and how errors name it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::WeightArena => "weight arena",
            Self::Staging => "staging",
            Self::Activations => "activations",
            Self::Constants => "constants",
            Self::States => "states",
            Self::Params => "params",
            Self::InputStaging => "input staging",
            Self::Readback => "read-back",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Ledger {
    entries: Vec<(Kind, u64)>,
    before: Option<DeviceBytes>,
    last: Option<DeviceBytes>,
    peak_bytes: u64,
    host_bytes: u64,
}

/// The allocator's view.
#[derive(Debug, Clone, Copy)]
struct DeviceBytes {
    allocated: u64,
    reserved: u64,
}

impl Ledger {
    /// Starts before the first resource.
    pub(crate) fn start(device: &Device) -> Self {
        let before = DeviceBytes::of(device);
        Self { entries: Vec::new(), before, last: before, peak_bytes: 0, host_bytes: 0 }
    }

    pub(crate) fn record(&mut self, kind: Kind, size_bytes: u64) {
        self.entries.push((kind, size_bytes));
    }

    /// Everything recorded is gone.
    pub(crate) fn release_all(&mut self) {
        self.entries.clear();
    }

    /// Looks at both views now, with the host holding `host_bytes`.
    pub(crate) fn sample(&mut self, device: &Device, host_bytes: u64) {
        self.last = DeviceBytes::of(device);
        let held = self.recorded_bytes().max(self.device_allocated_bytes().unwrap_or(0)).saturating_add(host_bytes);
        self.host_bytes = self.host_bytes.max(host_bytes);
        self.peak_bytes = self.peak_bytes.max(held);
    }

    /// Worst of all samples.
    pub(crate) const fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// Most host bytes of all samples.
    pub(crate) const fn host_bytes(&self) -> u64 {
        self.host_bytes
    }

    /// Fails if any kind of resource takes more than the plan declares for it.
    pub(crate) fn check(&self, declared: &MemoryDeclaration) -> Result<(), Error> {
        for kind in Kind::ALL {
            let of_kind = self.entries.iter().filter(|(found, _)| *found == kind);
            let recorded_bytes = of_kind.map(|(kind, bytes)| kind.whole_granules(*bytes)).sum();
            let declared_bytes = kind.declared_bytes(declared);
            if recorded_bytes > declared_bytes {
                return Err(Error::Ledger { kind: kind.label(), recorded_bytes, declared_bytes });
            }
        }
        Ok(())
    }

    /// Recorded resources in whole granules.
    pub(crate) fn recorded_bytes(&self) -> u64 {
        self.entries.iter().map(|(kind, bytes)| kind.whole_granules(*bytes)).sum()
    }

    /// What the allocator handed out since the start, at the last sample.
    pub(crate) fn device_allocated_bytes(&self) -> Option<u64> {
        Some(self.last?.allocated.saturating_sub(self.before?.allocated))
    }

    /// What the allocator has from the driver for everything, wgpu's own resources included, at the last sample.
    pub(crate) fn device_reserved_bytes(&self) -> Option<u64> {
        Some(self.last?.reserved)
    }

    /// Bytes by kind, in whole granules, in order of creation.
    pub(crate) fn by_kind(&self) -> Vec<(&'static str, u64)> {
        let mut kinds: Vec<(&'static str, u64)> = Vec::new();
        for (kind, bytes) in &self.entries {
            let bytes = kind.whole_granules(*bytes);
            match kinds.iter_mut().find(|(label, _)| *label == kind.label()) {
                Some((_, sum)) => *sum += bytes,
                None => kinds.push((kind.label(), bytes)),
            }
        }
        kinds
    }
}

impl DeviceBytes {
    fn of(device: &Device) -> Option<Self> {
        let report = device.generate_allocator_report()?;
        let allocated = report.allocations.iter().map(|allocation| allocation.size).sum();
        Some(Self { allocated, reserved: report.total_reserved_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_declared_is_named() {
        let mut ledger = Ledger { entries: Vec::new(), before: None, last: None, peak_bytes: 0, host_bytes: 0 };
        let declared = MemoryDeclaration { staging_bytes: 8192, params_bytes: 4096, ..MemoryDeclaration::default() };
        ledger.record(Kind::Staging, 4000);
        ledger.record(Kind::Staging, 4096);
        ledger.record(Kind::Params, 256);
        ledger.check(&declared).unwrap();
        ledger.record(Kind::Staging, 1);
        let error = ledger.check(&declared).unwrap_err();
        assert_eq!(error.to_string(), "staging takes 12288 bytes, and the plan declares 8192");
    }
}
