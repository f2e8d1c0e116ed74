//! Device profiles: the rates that predictions and schedules assume.
//!
//! Takes TOML, from a file or built in; returns a checked [`DeviceProfile`] and the cost of a kernel call on it. The format is
//! documented in docs/schedule.md. It measures nothing (`flashmem-run profile` does), and knows no operator beyond its class.

mod built_in;
mod capacity;
mod error;
mod limits;
#[cfg(test)]
mod tests;

pub use built_in::{DEFAULT_PROFILE, built_in_names};
pub use capacity::{CapacityCurve, CurvePoint, LoadCapacity};
pub use error::ProfileError;
pub use limits::{DeviceLimits, ExceededLimit};

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cost::OperatorClass;

/// Longest launch: a second.
const MAX_LAUNCH_US: f64 = 1e6;
/// One device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceProfile {
    /// Name, recorded in bundles.
    pub name: String,
    /// Rate of sequential reads.
    pub disk_bytes_per_second: f64,
    /// Rate of copies from staging into the weight arena.
    pub upload_bytes_per_second: f64,
    /// Fixed cost of a kernel call.
    pub launch_us: f64,
    /// Which variants of the heavy kernels suit it.
    #[serde(default)]
    pub tiles: Tiles,
    /// Workgroups that keep it busy, on a graphics processor with room for some hundred registers: products and convolutions that
    /// give as many in larger tiles take these. Absent where large tiles do not pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_workgroups: Option<u32>,
    /// Sustained rates of kernels.
    pub throughput: Throughput,
    /// Slowdown that a kernel may suffer from uploads beside it.
    pub load_capacity: LoadCapacity,
    /// Measured slowdown by uploads.
    #[serde(default, skip_serializing_if = "CapacityCurve::is_empty")]
    pub capacity_curve: CapacityCurve,
    /// What it can hold and bind.
    #[serde(default)]
    pub limits: DeviceLimits,
}

/// How products, convolutions and attention tile their work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tiles {
    /// Tiles for graphics processors.
    #[default]
    Gpu,
    /// Wide register tiles without barriers, for CPU adapters, where registers are memory and barriers are slow.
    Software,
}

/// Sustained rates of kernels by class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    /// Bytes read and written by elemental kernels; also the memory limit of reusable ones.
    pub elemental_bytes_per_second: f64,
    /// Floating-point operations (a multiply-add is two) of matrix multiplications and convolutions.
    pub reusable_flops_per_second: f64,
    /// Bytes read and written by hierarchical kernels.
    pub hierarchical_bytes_per_second: f64,
}

impl DeviceProfile {
    /// A built-in profile by name, or else the profile in the file of that path.
    pub fn load(name_or_path: &str) -> Result<Self, ProfileError> {
        if let Some((name, text)) = built_in::PROFILES.iter().find(|(name, _)| *name == name_or_path) {
            return Self::parse(name, text);
        }
        let path = Path::new(name_or_path);
        if !path.exists() {
            return Err(ProfileError::Unknown { name: name_or_path.to_owned() });
        }
        let text =
            std::fs::read_to_string(path).map_err(|source| ProfileError::Read { path: path.to_path_buf(), source })?;
        Self::parse(name_or_path, &text)
    }

    /// Parses and checks a profile; `origin` names it in errors.
    pub fn parse(origin: &str, text: &str) -> Result<Self, ProfileError> {
        let profile: Self =
            toml::from_str(text).map_err(|source| ProfileError::Parse { origin: origin.to_owned(), source })?;
        profile.check(origin)?;
        Ok(profile)
    }

    fn check(&self, origin: &str) -> Result<(), ProfileError> {
        let positive = [
            ("disk_bytes_per_second", self.disk_bytes_per_second),
            ("upload_bytes_per_second", self.upload_bytes_per_second),
            ("throughput.elemental_bytes_per_second", self.throughput.elemental_bytes_per_second),
            ("throughput.reusable_flops_per_second", self.throughput.reusable_flops_per_second),
            ("throughput.hierarchical_bytes_per_second", self.throughput.hierarchical_bytes_per_second),
        ];
        let slowdowns = [
            ("load_capacity.elemental", self.load_capacity.elemental),
            ("load_capacity.reusable", self.load_capacity.reusable),
            ("load_capacity.hierarchical", self.load_capacity.hierarchical),
        ];
        if !(1..=error::MAX_NAME_CHARACTERS).contains(&self.name.chars().count()) {
            return Err(ProfileError::Name { origin: origin.to_owned() });
        }
        let within = |least: f64, most: f64| move |value: f64| value.is_finite() && (least..=most).contains(&value);
        // Rates below 1 per second are a mistake of units, and keep times finite.
        let (rate, launch, slowdown) =
            (within(1.0, capacity::MAX_RATE), within(0.0, MAX_LAUNCH_US), within(0.0, capacity::MAX_SLOWDOWN));
        let found = positive
            .into_iter()
            .find(|(_, value)| !rate(*value))
            .map(|(field, value)| (field, value, "a number from 1 to 1e18"))
            .or((!launch(self.launch_us)).then_some(("launch_us", self.launch_us, "a number from 0 to 1e6")))
            .or(slowdowns
                .into_iter()
                .find(|(_, value)| !slowdown(*value))
                .map(|(field, value)| (field, value, "a number from 0 to 100")))
            .or(self.limits.out_of_range());
        match found {
            Some((field, value, range)) => Err(ProfileError::Range { origin: origin.to_owned(), field, value, range }),
            None => self.capacity_curve.misplaced().map_or(Ok(()), |(field, index, point)| {
                Err(ProfileError::Curve { origin: origin.to_owned(), field, index, point })
            }),
        }
    }

    /// Predicted time of a kernel call that does `flops` operations and moves `bytes`: the launch and the slower of both.
    pub fn step_cost(&self, class: OperatorClass, flops: u64, bytes: u64) -> f64 {
        let rates = &self.throughput;
        let seconds = match class {
            OperatorClass::Elemental => bytes as f64 / rates.elemental_bytes_per_second,
            OperatorClass::Reusable => {
                let compute = flops as f64 / rates.reusable_flops_per_second;
                compute.max(bytes as f64 / rates.elemental_bytes_per_second)
            }
            OperatorClass::Hierarchical => bytes as f64 / rates.hierarchical_bytes_per_second,
        };
        self.launch_us + seconds * 1e6
    }

    /// Pages whose upload a kernel of this class and time hides within its allowed slowdown.
    pub fn capacity_pages(&self, class: OperatorClass, execute_us: f64, page_bytes: u64) -> u32 {
        let slowdown = self.load_capacity.of(class);
        let measured = self.capacity_curve.bytes_per_us(class, slowdown);
        let bytes_per_us = measured.unwrap_or(slowdown * self.upload_bytes_per_us());
        // The cast saturates, and a size of 0 gives the largest count: nothing has to be copied.
        (bytes_per_us * execute_us / page_bytes as f64).floor() as u32
    }

    /// Disk rate for a schedule's problem.
    pub fn disk_bytes_per_us(&self) -> f64 {
        self.disk_bytes_per_second * 1e-6
    }

    /// Upload rate for a schedule's problem.
    pub fn upload_bytes_per_us(&self) -> f64 {
        self.upload_bytes_per_second * 1e-6
    }
}

impl Default for DeviceProfile {
    fn default() -> Self {
        Self::load(DEFAULT_PROFILE).expect("built-in profiles are tested")
    }
}
