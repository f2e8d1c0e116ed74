//! Device profiles: the rates that predictions and schedules assume.
//!
//! Takes TOML, from a file or built in; gives a checked [`DeviceProfile`] and the cost of a kernel call on it. The format is
//! documented in docs/schedule.md. It measures nothing, and knows no operator beyond its class.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::schedule::OperatorClass;

/// Built-in profiles; the first is the default.
const BUILT_IN: [(&str, &str); 4] = [
    ("desktop", include_str!("../../profiles/desktop.toml")),
    ("flagship-phone", include_str!("../../profiles/flagship-phone.toml")),
    ("mid-phone", include_str!("../../profiles/mid-phone.toml")),
    ("software", include_str!("../../profiles/software.toml")),
];

/// Name of the profile that is used when none is given.
pub const DEFAULT_PROFILE: &str = BUILT_IN[0].0;

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
    /// Sustained rates of kernels.
    pub throughput: Throughput,
    /// Slowdown that a kernel may suffer from uploads beside it.
    pub load_capacity: LoadCapacity,
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

/// Allowed slowdown by class, as a fraction of the execution time: 0.2 is 20 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadCapacity {
    /// Elemental kernels.
    pub elemental: f64,
    /// Reusable kernels.
    pub reusable: f64,
    /// Hierarchical kernels.
    pub hierarchical: f64,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Neither a built-in name nor a file.
    #[error("no device profile `{name}`: not a file, and the built-in ones are {}", built_in_names().join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read device profile {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a profile.
    #[error("device profile `{origin}`: {source}")]
    Parse {
        /// File or built-in name.
        origin: String,
        /// Why, with line and column.
        source: toml::de::Error,
    },
    /// A number outside its range.
    #[error("device profile `{origin}`: {field} is {value}, must be {range}")]
    Range {
        /// File or built-in name.
        origin: String,
        /// Which number.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
}

/// Names of the built-in profiles, the default first.
pub fn built_in_names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

impl DeviceProfile {
    /// A built-in profile by name, or else the profile in the file of that path.
    pub fn load(name_or_path: &str) -> Result<Self, ProfileError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
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
        let not_negative = [
            ("launch_us", self.launch_us),
            ("load_capacity.elemental", self.load_capacity.elemental),
            ("load_capacity.reusable", self.load_capacity.reusable),
            ("load_capacity.hierarchical", self.load_capacity.hierarchical),
        ];
        // Rates below 1 per second are a mistake of units, and keep times finite.
        let too_small = positive.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 1.0));
        let negative = not_negative.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0));
        let range = |(field, value), range| ProfileError::Range { origin: origin.to_owned(), field, value, range };
        match (too_small, negative) {
            (Some(found), _) => Err(range(found, "a finite number of at least 1")),
            (None, Some(found)) => Err(range(found, "a finite number of at least 0")),
            (None, None) => Ok(()),
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
        let slowdown = match class {
            OperatorClass::Elemental => self.load_capacity.elemental,
            OperatorClass::Reusable => self.load_capacity.reusable,
            OperatorClass::Hierarchical => self.load_capacity.hierarchical,
        };
        // The cast saturates, and a size of 0 gives the largest count: nothing has to be copied.
        (slowdown * execute_us * self.upload_bytes_per_us() / page_bytes as f64).floor() as u32
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_loads_under_its_name() {
        for name in built_in_names() {
            let profile = DeviceProfile::load(name).expect("built in");
            assert_eq!(profile.name, name);
            let text = toml::to_string(&profile).expect("serialises");
            assert_eq!(DeviceProfile::parse(name, &text).expect("reads back"), profile);
        }
        assert_eq!(DeviceProfile::default().name, "desktop");
    }

    #[test]
    fn errors_name_the_cause() {
        let error = |text: &str| DeviceProfile::parse("x.toml", text).expect_err("must fail").to_string();
        let good = BUILT_IN[0].1;
        assert!(error(&good.replace("launch_us", "lanch_us")).contains("lanch_us"));
        let negative = good.replace("launch_us = 5.0", "launch_us = -1.0");
        assert_eq!(error(&negative), "device profile `x.toml`: launch_us is -1, must be a finite number of at least 0");
        let nan = good.replace("launch_us = 5.0", "launch_us = nan");
        assert!(error(&nan).contains("launch_us is NaN"));
        assert_eq!(
            DeviceProfile::load("pocket-calculator").expect_err("no such profile").to_string(),
            "no device profile `pocket-calculator`: not a file, and the built-in ones are desktop, flagship-phone, \
             mid-phone, software"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let error = DeviceProfile::load(&folder.path().to_string_lossy()).expect_err("a folder is no profile");
        assert!(matches!(error, ProfileError::Read { .. }));
    }

    #[test]
    fn a_profile_is_read_from_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, BUILT_IN[2].1.replace("30.0", "30")).expect("written");
        assert_eq!(DeviceProfile::load(&path.to_string_lossy()).expect("reads").name, "mid-phone");
    }

    #[test]
    fn costs_follow_the_slower_resource() {
        let mut profile = DeviceProfile { launch_us: 2.0, ..DeviceProfile::default() };
        profile.throughput.elemental_bytes_per_second = 1e9;
        profile.throughput.reusable_flops_per_second = 1e12;
        profile.upload_bytes_per_second = 1e9;
        assert!((profile.step_cost(OperatorClass::Elemental, 7, 3000) - 5.0).abs() < 1e-9);
        assert!((profile.step_cost(OperatorClass::Reusable, 5_000_000, 3000) - 7.0).abs() < 1e-9);
        assert!((profile.step_cost(OperatorClass::Reusable, 5, 3000) - 5.0).abs() < 1e-9);
        assert_eq!(profile.capacity_pages(OperatorClass::Elemental, 10.0, 1000), 30);
        assert_eq!(profile.capacity_pages(OperatorClass::Reusable, 10.0, 1000), 2);
        assert_eq!(profile.capacity_pages(OperatorClass::Hierarchical, 10.0, 1000), 0);
    }
}
