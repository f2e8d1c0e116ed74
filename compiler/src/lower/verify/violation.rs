//! What the checker of lowering finds.

use flashmem_plan_format::plan::Buffer;
use std::fmt;
use std::ops::Range;

/// Something that a program must not do; a mistake of lowering. Tensors are positions in the program's table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A list for another number of entries.
    #[error("{found} {what} are recorded for {expected}")]
    Length {
        /// Of what.
        what: &'static str,
        /// How many are recorded.
        found: usize,
        /// How many there are.
        expected: usize,
    },
    /// A tensor that is not in the table.
    #[error("tensor {tensor} does not exist")]
    Unknown {
        /// The tensor.
        tensor: u32,
    },
    /// A tensor that is not inside its buffer.
    #[error("tensor {tensor} of {size_bytes} bytes at {offset_bytes} exceeds the {buffer_bytes} bytes of {buffer:?}")]
    Outside {
        /// The tensor.
        tensor: u32,
        /// Its buffer.
        buffer: Buffer,
        /// Where it starts.
        offset_bytes: u64,
        /// Its size.
        size_bytes: u64,
        /// The buffer's size.
        buffer_bytes: u64,
    },
    /// A slice of another size than its tensor.
    #[error("tensor {tensor} of {elements} elements has {size_bytes} bytes")]
    Size {
        /// The tensor.
        tensor: u32,
        /// Its elements.
        elements: u64,
        /// Bytes of its slice.
        size_bytes: u64,
    },
    /// An input or result that is not a whole tensor of the arena.
    #[error("port `{name}` is not a whole tensor of its shape")]
    Port {
        /// Its name.
        name: String,
    },
    /// A row gather into something else than its tensor.
    #[error("row gather {gather} does not write its tensor")]
    Gather {
        /// Position in the list of gathers.
        gather: u32,
    },
    /// A call that binds something else than its tensors.
    #[error("step {step} (`{node}`) does not bind its tensors")]
    Bindings {
        /// The call.
        step: u32,
        /// ONNX names.
        node: String,
    },
    /// A call that writes into the constants.
    #[error("step {step} (`{node}`) writes tensor {tensor}, a constant")]
    WritesConstant {
        /// The call.
        step: u32,
        /// ONNX names.
        node: String,
        /// Its output.
        tensor: u32,
    },
    /// A view that reaches beyond its tensor, or is of one that the call does not bind.
    #[error("step {step} (`{node}`): a view of elements {first} to {last} of tensor {tensor}, which has {elements}")]
    View {
        /// The call.
        step: u32,
        /// ONNX names.
        node: String,
        /// The tensor.
        tensor: u32,
        /// First element.
        first: i64,
        /// Last element.
        last: i64,
        /// Elements of the tensor.
        elements: u64,
    },
    /// A tensor that more or fewer calls write than were made for it.
    #[error("tensor {tensor} is written by {found} calls of {expected}")]
    Writes {
        /// The tensor.
        tensor: u32,
        /// Calls that were made.
        expected: u32,
        /// Calls that there are.
        found: u32,
    },
    /// A weight that is out of order, overlaps the one before or has another size than its packing.
    #[error("weight `{name}` at texel {texel_offset} overlaps the one before, or is not of its size")]
    Weight {
        /// ONNX initialiser name.
        name: String,
        /// Where it starts.
        texel_offset: u64,
    },
    /// A call that reads texels that are not of one weight, or takes them as encoded otherwise.
    #[error(
        "step {step} (`{node}`) reads texels {texels:?}, which are not of one weight in the encoding of its kernel"
    )]
    WeightRange {
        /// The call.
        step: u32,
        /// ONNX names.
        node: String,
        /// What it reads.
        texels: Range<u64>,
    },
    /// Two tensors in one place that the host writes before the first call.
    #[error("tensors {tensor} and {victim} are written before the first step, and overlap")]
    HostOverlap {
        /// The later one in the list.
        tensor: u32,
        /// The other.
        victim: u32,
    },
    /// A call reads a tensor that does not hold all its bytes.
    #[error("step {step} (`{node}`) reads tensor {tensor}, {}", Held(*.holder))]
    NotWritten {
        /// The call.
        step: u32,
        /// ONNX names.
        node: String,
        /// The tensor.
        tensor: u32,
        /// Which tensor's the memory is instead; `None` when nobody wrote it.
        holder: Option<u32>,
    },
    /// A call overwrites a tensor that is still needed.
    #[error("step {step} (`{node}`) writes tensor {tensor} over tensor {victim}, which is needed by {}", By(*.needed_by))]
    Overwritten {
        /// The call.
        step: u32,
        /// ONNX names.
        node: String,
        /// Its output.
        tensor: u32,
        /// What it overwrites.
        victim: u32,
        /// The last call that needs it, `None` for a result.
        needed_by: Option<u32>,
    },
    /// A state that is not where its tensor is, or overlaps the one before.
    #[error("state {state} is not where its tensors are, or overlaps the one before")]
    StatePlace {
        /// Position among the states.
        state: u32,
    },
    /// A call that reads a state before its update in place, or writes one that has another update.
    #[error("step {step} (`{node}`) reads state {state} before its update, or writes it beside that")]
    StateUse {
        /// The call.
        step: u32,
        /// ONNX names.
        node: String,
        /// Position among the states.
        state: u32,
    },
    /// A result that is not there after the last call.
    #[error("result `{name}` is lost: its tensor, {}", Held(*.holder))]
    ResultLost {
        /// Its name.
        name: String,
        /// Which tensor's the memory is instead; `None` when nobody wrote it.
        holder: Option<u32>,
    },
}

/// Where a tensor should lie.
struct Held(Option<u32>);

impl fmt::Display for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(holder) => write!(out, "in memory that is tensor {holder}'s"),
            None => out.write_str("in memory that nobody wrote"),
        }
    }
}

/// Who needs a tensor.
struct By(Option<u32>);

impl fmt::Display for By {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(step) => write!(out, "step {step}"),
            None => out.write_str("a result"),
        }
    }
}
