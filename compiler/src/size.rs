//! Sizes as people write them: `64MiB`, `1.5GiB`, `500MB`, bytes.
//!
//! It deliberately accepts no bare `K` or `M`: they mean two things.

/// A size that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a size: write bytes, or a number with KiB, MiB, GiB, kB, MB or GB")]
pub struct SizeError {
    /// What was given.
    pub text: String,
}

const UNITS: [(&str, f64); 7] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("B", 1.0),
];

/// Bytes of a size; fractions of a byte are dropped.
///
/// # Errors
/// [`SizeError`] when the text is not a size.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let error = || SizeError { text: text.to_owned() };
    let trimmed = text.trim();
    if let Ok(bytes) = trimmed.parse::<u64>() {
        return Ok(bytes);
    }
    let (unit, factor) = UNITS.iter().find(|(unit, _)| trimmed.ends_with(unit)).ok_or_else(error)?;
    let number: f64 = trimmed[..trimmed.len() - unit.len()].trim().parse().map_err(|_| error())?;
    let bytes = number * factor;
    if !(bytes.is_finite() && (0.0..9e18).contains(&bytes)) {
        return Err(error());
    }
    Ok(bytes as u64)
}

/// A size for people, in binary units.
pub fn format(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", value / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", value / 1_048_576.0),
        _ => format!("{:.2} GiB", value / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [("64MiB", 64 << 20), ("1.5GiB", 3 << 29), ("12345", 12345), ("2 kB", 2000), ("7B", 7)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "64M", "-1", "-1MiB", "nanGiB", "1e30GiB", "MiB"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(format(3 << 29), "1.50 GiB");
    }
}
