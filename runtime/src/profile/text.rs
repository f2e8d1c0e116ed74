//! A measured machine as the TOML that `flashmem-compile --device` reads.
//!
//! Allowed slowdowns are not measured: they are the policy of the FlashMem paper.

use super::measured::{KernelRate, MeasuredProfile};
use std::fmt::Write as _;

/// Characters of a name.
const NAME_CHARACTERS: usize = 64;
/// Ranges that profiles accept for limits.
const BYTES: std::ops::RangeInclusive<u64> = (4 << 20)..=(1 << 34);
const COUNTS: std::ops::RangeInclusive<u32> = 256..=(1 << 20);

impl MeasuredProfile {
    /// The profile as text.
    pub fn to_toml(&self) -> String {
        let limits = &self.limits;
        let bytes = |value: u64| value.clamp(*BYTES.start(), *BYTES.end());
        let count = |value: u32| value.clamp(*COUNTS.start(), *COUNTS.end());
        let cached = if self.disk.looks_cached { ", probably of a cache" } else { "" };
        let mut out = format!(
            "# Measured by flashmem-run {}. Reads{cached}; cached ones at {} bytes per second.\n\
             # Kernels took {:.0}, {:.0} and {:.0} us alone. The allowed slowdowns are the FlashMem paper's, not measured.\n",
            env!("CARGO_PKG_VERSION"),
            number(self.disk.cached_bytes_per_second),
            self.elemental.alone_us,
            self.reusable.alone_us,
            self.hierarchical.alone_us,
        );
        let _ = write!(
            out,
            "name = \"{}\"\n\
             disk_bytes_per_second = {}\n\
             upload_bytes_per_second = {}\n\
             launch_us = {:.3}\n\
             tiles = \"{}\"\n{}\n\
             [throughput]\n\
             elemental_bytes_per_second = {}\n\
             reusable_flops_per_second = {}\n\
             hierarchical_bytes_per_second = {}\n\n\
             [load_capacity]\n\
             elemental = 3.0\n\
             reusable = 0.2\n\
             hierarchical = 0.0\n\n\
             # Bytes uploaded beside a kernel per microsecond of its time alone, and the slowdown.\n\
             [capacity_curve]\n\
             elemental = {}\n\
             reusable = {}\n\
             hierarchical = {}\n\n\
             [limits]\n\
             storage_binding_bytes = {}\n\
             buffer_bytes = {}\n\
             texture_array_layers = {}\n\
             texture_side = {}\n{}",
            name(&self.adapter),
            number(self.disk.bytes_per_second),
            number(self.upload_bytes_per_second),
            self.launch_us,
            if self.software { "software" } else { "gpu" },
            if self.discrete { "busy_workgroups = 256\n" } else { "" },
            number(self.elemental.work_per_second),
            number(self.reusable.work_per_second),
            number(self.hierarchical.work_per_second),
            curve(&self.elemental),
            curve(&self.reusable),
            curve(&self.hierarchical),
            bytes(limits.storage_binding_bytes),
            bytes(limits.buffer_bytes),
            count(limits.texture_array_layers),
            count(limits.texture_side),
            if self.software { "loop_rounds = 65000\n" } else { "" },
        );
        out
    }
}

/// A rate, at least 1.
fn number(value: f64) -> String {
    format!("{:.3e}", value.max(1.0))
}

fn curve(rate: &KernelRate) -> String {
    let points: Vec<String> = rate.curve.iter().map(|[bytes, slower]| format!("[{bytes:.1}, {slower:.4}]")).collect();
    format!("[{}]", points.join(", "))
}

/// The adapter's name in characters that need no escape.
fn name(adapter: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || " -_.()".contains(c) { c } else { ' ' };
    let name: String = adapter.chars().map(plain).take(NAME_CHARACTERS).collect();
    let name = name.trim();
    if name.is_empty() { "measured".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_need_no_escape() {
        assert_eq!(name("llvmpipe (LLVM 15.0.6, 256 bits)"), "llvmpipe (LLVM 15.0.6  256 bits)");
        assert_eq!(name("\"\\\n"), "measured");
        assert_eq!(name(&"x".repeat(99)).len(), 64);
    }
}
