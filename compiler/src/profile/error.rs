//! Why a profile cannot be used.

use super::built_in::built_in_names;
use super::capacity::{CurvePoint, MAX_SLOWDOWN};
use std::path::PathBuf;

/// Characters of a name.
pub(super) const MAX_NAME_CHARACTERS: usize = 64;

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
    #[error("cannot read device profile {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a profile.
    #[error("device profile `{origin}`")]
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
    /// A name that cannot be recorded.
    #[error("device profile `{origin}`: the name must have 1 to {MAX_NAME_CHARACTERS} characters")]
    Name {
        /// File or built-in name.
        origin: String,
    },
    /// A point that is no measurement, or out of order.
    #[error(
        "device profile `{origin}`: {field}, point {index} is [{}, {}]: bytes per microsecond must ascend, slowdowns from 0 to {} must not descend",
        point[0], point[1], MAX_SLOWDOWN
    )]
    Curve {
        /// File or built-in name.
        origin: String,
        /// Which curve.
        field: &'static str,
        /// Which point.
        index: usize,
        /// The point.
        point: CurvePoint,
    },
}
