//! Sizes in bytes as people write them, on the command lines of both programs: `64MiB`, `1.5GiB`, `500MB`, `200M`, bytes.
//!
//! Units are read in any case: `kB`, `MB`, `GB`, `TB` are powers of 1000; `KiB`, `MiB`, `GiB`, `TiB` and, as with most tools,
//! the bare `K`, `M`, `G`, `T` (also `Ki`, …) are powers of 1024. A fraction needs one of them; what it leaves of a byte is dropped.
//! It deliberately computes with integers: every size is exact.

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Something else.
    #[error(
        "`{text}` is not a size: write bytes, or a number with MiB, GiB (powers of 1024) or MB, GB (powers of 1000)"
    )]
    Malformed {
        /// What was given.
        text: String,
    },
    /// A fraction of a byte.
    #[error("`{text}` is not a whole number of bytes: write a unit after it, such as MiB or MB")]
    Fraction {
        /// What was given.
        text: String,
    },
    /// More than 64 bits hold.
    #[error("`{text}` is more than any memory or file can have")]
    TooLarge {
        /// What was given.
        text: String,
    },
}

/// In lower case.
const UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("mb", 1000_u64.pow(2)),
    ("gb", 1000_u64.pow(3)),
    ("tb", 1000_u64.pow(4)),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("ti", 1 << 40),
];

/// Digits behind the point that can matter: with the largest unit, one more is less than a byte.
const MAX_FRACTION_DIGITS: usize = 13;

/// Bytes of a size; what a fraction leaves of a byte is dropped.
///
/// # Errors
/// [`SizeError`] when the text is not a size.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let malformed = || SizeError::Malformed { text: text.to_owned() };
    let too_large = || SizeError::TooLarge { text: text.to_owned() };
    let lower = text.trim().to_ascii_lowercase();
    let unit_at = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(unit_at);
    let unit = unit.trim_start();
    let binary = unit.strip_suffix("ib").map(|prefix| format!("{prefix}i"));
    let unit = binary.as_deref().unwrap_or(unit);
    let (_, factor) = *UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(malformed)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(malformed());
    }
    if number.contains('.') && factor == 1 {
        return Err(SizeError::Fraction { text: text.to_owned() });
    }
    let digits = |digits: &str| match digits {
        "" => Ok(0),
        digits => digits.parse::<u64>().map_err(|_| too_large()),
    };
    let fraction = &fraction[..fraction.len().min(MAX_FRACTION_DIGITS)];
    let part = u128::from(digits(fraction)?) * u128::from(factor) / 10_u128.pow(fraction.len() as u32);
    let bytes = u128::from(digits(whole)?) * u128::from(factor) + part;
    u64::try_from(bytes).map_err(|_| too_large())
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
    use super::{SizeError, format, parse};

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("12345", 12_345),
            ("7B", 7),
            ("0", 0),
            ("64MiB", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("2 kB", 2000),
            ("35MB", 35_000_000),
            ("35mb", 35_000_000),
            ("35MiB", 36_700_160),
            ("35Mi", 36_700_160),
            ("35M", 36_700_160),
            ("200m", 200 << 20),
            ("1.5G", 3 << 29),
            (".5KiB", 512),
            ("1.KiB", 1024),
            (" 0.3 KiB ", 307),
            ("0.0009kB", 0),
            ("0.9999999999999999999999999999 KiB", 1023),
            ("3TB", 3_000_000_000_000),
            ("1T", 1 << 40),
            ("18446744073709551615", u64::MAX),
            ("16777215.9TiB", u64::MAX - (1 << 40) / 10),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        let text = String::new;
        for (wrong, kind) in [
            ("", SizeError::Malformed { text: text() }),
            (".", SizeError::Malformed { text: text() }),
            ("MiB", SizeError::Malformed { text: text() }),
            ("-1", SizeError::Malformed { text: text() }),
            ("+1", SizeError::Malformed { text: text() }),
            ("-1MiB", SizeError::Malformed { text: text() }),
            ("1.2.3MiB", SizeError::Malformed { text: text() }),
            ("nanGiB", SizeError::Malformed { text: text() }),
            ("1e3MiB", SizeError::Malformed { text: text() }),
            ("1_000", SizeError::Malformed { text: text() }),
            ("64 MiBs", SizeError::Malformed { text: text() }),
            ("64ib", SizeError::Malformed { text: text() }),
            ("64MM", SizeError::Malformed { text: text() }),
            ("６４MiB", SizeError::Malformed { text: text() }),
            ("lots", SizeError::Malformed { text: text() }),
            ("1.5", SizeError::Fraction { text: text() }),
            ("1.0B", SizeError::Fraction { text: text() }),
            ("18446744073709551616", SizeError::TooLarge { text: text() }),
            ("16777216TiB", SizeError::TooLarge { text: text() }),
            ("99999999999999999999999GB", SizeError::TooLarge { text: text() }),
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&kind), "{wrong}: {error}");
            assert!(error.to_string().contains(&format!("`{wrong}`")), "{error}");
        }
    }

    #[test]
    fn sizes_are_written() {
        assert_eq!(format(3 << 29), "1.50 GiB");
        assert_eq!(format(1023), "1023 B");
    }
}
