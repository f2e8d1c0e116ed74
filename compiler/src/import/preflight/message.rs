//! How much a message becomes when it is decoded, before it is.
//!
//! A field of two bytes can become a struct of hundreds, so the fields of the messages that a model consists of are counted
//! first. What cannot be followed is left to the decoder, which reports it, and which limits how deep messages are nested.

use super::super::protobuf::{Field, field};
use super::invalid::Invalid;
use super::limits::MAX_FIELDS;
use std::ops::Range;

/// Messages whose fields may be messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
    Function,
    Training,
    Leaf,
}

impl Message {
    /// What a field of a message is.
    const fn of_field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) | (Self::Training, 1 | 2) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::Value,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Leaf,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Value, 2) | (Self::Attribute, 14 | 15) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Shape, 1) | (Self::Tensor, 13) => Self::Leaf,
            _ => return None,
        })
    }
}

/// Counts the fields of a model, as far as it can be followed.
///
/// # Errors
/// When there are more than [`MAX_FIELDS`].
pub fn check(bytes: &[u8]) -> Result<(), Invalid> {
    let mut count = 0;
    let mut waiting: Vec<(Message, Range<usize>)> = vec![(Message::Model, 0..bytes.len())];
    while let Some((message, range)) = waiting.pop() {
        let mut at = range.start;
        while at < range.end {
            let Some(Field { number, contents, .. }) = field(bytes, &mut at, range.end) else { break };
            count += 1;
            if count > MAX_FIELDS {
                return Err(Invalid::TooMany { what: "fields", limit: MAX_FIELDS });
            }
            if let (Some(inner), Some(contents)) = (message.of_field(number), contents) {
                waiting.push((inner, contents));
            }
        }
    }
    Ok(())
}
