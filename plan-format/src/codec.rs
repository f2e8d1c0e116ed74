//! Serialisation of structured data: the only file that uses bincode, so that replacing it touches one file.
//!
//! Little endian, integers of fixed size, lengths and enum tags included; trailing bytes are refused; at most
//! [`MAX_ENCODED_BYTES`] are read. Weights, constants and fixed headers deliberately never pass through it.

use crate::plan::Plan;
use bincode::config::{self, Config};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;

/// Most bytes that one encoded value may have.
pub const MAX_ENCODED_BYTES: usize = 64 << 20;

/// Why a value could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The value has no encoding.
    #[error("cannot encode")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bytes are no encoding of the type.
    #[error("cannot decode")]
    Decode(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The value ends before the bytes do.
    #[error("the value ends at byte {used_bytes} of {given_bytes}")]
    TrailingBytes {
        /// Bytes of the value.
        used_bytes: u64,
        /// Bytes that were given.
        given_bytes: u64,
    },
    /// The encoding is longer than [`MAX_ENCODED_BYTES`].
    #[error("the encoding has {encoded_bytes} bytes, more than the limit of {MAX_ENCODED_BYTES}")]
    TooLarge {
        /// Bytes of the encoding.
        encoded_bytes: u64,
    },
}

fn configuration() -> impl Config {
    config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<MAX_ENCODED_BYTES>()
}

/// Encodes a value; equal values have equal bytes.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::serde::encode_to_vec(value, configuration()).map_err(|e| CodecError::Encode(Box::new(e)))?;
    if bytes.len() > MAX_ENCODED_BYTES {
        return Err(CodecError::TooLarge { encoded_bytes: bytes.len() as u64 });
    }
    Ok(bytes)
}

/// Decodes a value that takes up all of `bytes`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > MAX_ENCODED_BYTES {
        return Err(CodecError::TooLarge { encoded_bytes: bytes.len() as u64 });
    }
    let (value, used) =
        bincode::serde::decode_from_slice(bytes, configuration()).map_err(|e| CodecError::Decode(Box::new(e)))?;
    if used != bytes.len() {
        return Err(CodecError::TrailingBytes { used_bytes: used as u64, given_bytes: bytes.len() as u64 });
    }
    Ok(value)
}

/// Bytes of the plan's encoding with its kernel sources, without making it. `None` when it has no encoding.
pub fn encoded_plan_bytes(plan: &Plan) -> Option<u64> {
    encoded_bytes(plan)
}

/// Bytes of a value's encoding, without making it. `None` when it has no encoding.
pub fn encoded_bytes<T: Serialize>(value: &T) -> Option<u64> {
    let mut counter = CountingWriter { bytes: 0 };
    bincode::serde::encode_into_std_write(value, &mut counter, configuration()).ok()?;
    Some(counter.bytes)
}

/// Counts what is written and keeps nothing.
struct CountingWriter {
    bytes: u64,
}

impl io::Write for CountingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
