//! Which constants are stored as blocks of small integers, and how.
//!
//! Constants that the file keeps as small integers keep them, exactly, where their blocks lie along k ([`exact`]); others are stored
//! in floats that hold their elements. Float weights become blocks on request ([`choose`]): those of products and convolutions
//! whose sums are long enough, and tables of which rows are read. What they lose is `pack/quantize.rs`'s to keep small. Scales are
//! halves where these have all of their bits for every channel. A weight whose elements are scales and codes already is stored
//! as these, whatever was asked for: in 4 bits where they hold it, else in 8 (`lossless.rs`). Weights that are not finite
//! stay floats.

pub mod lossless;

use super::half::in_parallel;
use super::half::range::Channels;
use super::ops::gather::places::row_table;
use super::streamed::{is_depthwise, streamed_weight};
use crate::graph::constant::Constant;
use crate::graph::quantized::{Quantized, Width, ZeroPoints};
use crate::graph::{Graph, NodeId};
use flashmem_plan_format::encoding::{BlockEncoding, BlockLength, CodeBits, CodeOffset, Encoding, ScaleFormat};
use half::f16;
use lossless::lossless;
use std::collections::BTreeMap;

/// Shortest sum whose weight is stored in blocks.
const MIN_K: usize = 32;

/// Largest element that blocks with f16 scales take.
const MAX_WITH_HALVES: f32 = 32768.0;

/// Where the integer, the scale and the zero point of an element are in their lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Of the integer.
    pub integer: usize,
    /// Of the scale.
    pub scale: usize,
    /// Of the zero point.
    pub zero: usize,
}

/// Where the element at a row-major position has its parts, without the starts of the lists: a sum over axes, so that the
/// positions of two elements on different axes add up.
pub fn position(quantized: &Quantized, element: usize) -> Position {
    let (blocks, mut rest) = (quantized.blocks(), element);
    let mut found = Position { integer: 0, scale: 0, zero: 0 };
    for (axis, size) in quantized.shape().iter().enumerate().rev() {
        let (index, block) = (rest % size, rest % size / blocks.lengths[axis]);
        rest /= size;
        found.integer += index * quantized.places().strides[axis];
        found.scale += block * blocks.scale_places.strides[axis];
        found.zero += block * blocks.zero_places.strides[axis];
    }
    found
}

/// How the integers of a constant are stored as they are, when its lines of k are the elements at these row-major positions and
/// any that lie on other axes. `None` where blocks are no runs of one of our lengths.
pub fn exact(quantized: &Quantized, k: &[usize]) -> Option<BlockEncoding> {
    let blocks = quantized.blocks();
    let scale = scale_format(quantized)?;
    let (bits, bias) = code_bias(quantized);
    let offset = match &blocks.zeros {
        ZeroPoints::Same(zero) if zero + bias == bits.middle() as i32 => CodeOffset::Middle,
        ZeroPoints::Same(zero) if !(0..=255).contains(&(zero + bias)) => return None,
        ZeroPoints::Same(_) | ZeroPoints::Integers(_) => CodeOffset::ZeroPoint,
        // An integer times the scale less a float: a minimum, where codes are the integers.
        ZeroPoints::Floats(_) if bias == 0 => CodeOffset::WideMinimum,
        ZeroPoints::Floats(_) => return None,
    };
    let parts: Vec<(usize, usize)> = k.iter().map(|k| position(quantized, *k)).map(|p| (p.scale, p.zero)).collect();
    let fits = |length: &BlockLength| {
        let run = parts.len().min(1 << length.log2()).max(1);
        parts.chunks(run).all(|block| block.iter().all(|part| *part == block[0]))
    };
    let length = BlockLength::ALL.into_iter().find(fits)?;
    Some(BlockEncoding { bits, length, scale, offset, rounded: quantized.half() })
}

/// How the scales of a constant are stored as they are; `None` where one is not finite.
fn scale_format(quantized: &Quantized) -> Option<ScaleFormat> {
    let scales = &quantized.blocks().scales;
    let mut format = ScaleFormat::F16;
    for scale in (0..scales.len()).map(|index| scales.at(index)) {
        let half = f16::from_f32(scale);
        if !scale.is_finite() {
            return None;
        }
        if half.to_f32().to_bits() != scale.to_bits() || !(half.is_normal() || half == f16::ZERO) {
            format = ScaleFormat::F32;
        }
    }
    Some(format)
}

/// Bits of the codes of a constant, and what is added to its integers and zero points to make codes of them.
pub fn code_bias(quantized: &Quantized) -> (CodeBits, i32) {
    let integers = quantized.integers();
    match (integers.width, &quantized.blocks().zeros) {
        // Integers of two bits about one zero are four-bit codes about the middle.
        (Width::Two, ZeroPoints::Same(zero)) if (-4..=4).contains(zero) => (CodeBits::Four, 8 - zero),
        (Width::Two, _) => (CodeBits::Four, if integers.signed { 2 } else { 0 }),
        (Width::Four, _) => (CodeBits::Four, if integers.signed { 8 } else { 0 }),
        (Width::Eight, _) => (CodeBits::Eight, if integers.signed { 128 } else { 0 }),
    }
}

/// A constant that may be stored in blocks.
struct Candidate {
    constant: NodeId,
    channel_axes: Vec<usize>,
    /// The others, in the order in which they are summed.
    k_axes: Vec<usize>,
}

/// Has the float weights of products and convolutions, and tables of rows, stored as blocks of 32.
pub fn choose(graph: &mut Graph, bits: CodeBits) {
    let found = in_blocks(graph, bits);
    graph.encodings.extend(found);
}

/// How the float weights of products and convolutions, and tables of rows, are stored as blocks of 32.
pub fn in_blocks(graph: &Graph, bits: CodeBits) -> BTreeMap<NodeId, Encoding> {
    let list = candidates(graph);
    let encodings = in_parallel(&list, |candidate| {
        let constant = graph.constant(candidate.constant).expect("only constants are candidates");
        encoding(constant, candidate, bits)
    });
    // A constant with several readers is stored as all of them can have it.
    let mut found: BTreeMap<NodeId, Option<Encoding>> = BTreeMap::new();
    for (candidate, encoding) in list.iter().zip(encodings) {
        let same = found.entry(candidate.constant).or_insert(encoding);
        if *same != encoding {
            *same = None;
        }
    }
    found.into_iter().filter_map(|(constant, encoding)| Some((constant, encoding?))).collect()
}

fn candidates(graph: &Graph) -> Vec<Candidate> {
    let mut list = Vec::new();
    for node in graph.topological_order() {
        if let Some(weight) = streamed_weight(graph, node).filter(|_| !is_depthwise(graph, node)) {
            let constant = graph.operands(node)[weight.position];
            list.push(Candidate { constant, channel_axes: weight.channel_axes, k_axes: weight.k_axes });
        }
        if let Some(constant) = row_table(graph, node) {
            let k_axes = (1..graph.node(constant).shape.len()).collect();
            list.push(Candidate { constant, channel_axes: vec![0], k_axes });
        }
    }
    list.retain(|candidate| {
        let shape = &graph.node(candidate.constant).shape;
        let channels: usize = candidate.channel_axes.iter().map(|axis| shape[*axis]).product();
        let elements: usize = shape.iter().product();
        let floats = graph.constant(candidate.constant).is_some_and(|constant| constant.as_quantized().is_none());
        floats && elements / channels.max(1) >= MIN_K
    });
    list
}

/// How a float weight is stored in blocks; `None` where it is not finite.
fn encoding(constant: &Constant, candidate: &Candidate, bits: CodeBits) -> Option<Encoding> {
    let channels = Channels::of(&constant.shape, &candidate.channel_axes);
    let (mut largest, mut finite) = (vec![0.0_f32; channels.count], true);
    channels.values(constant, |channel, value| {
        finite &= value.is_finite();
        largest[channel] = largest[channel].max(value.abs());
    });
    if !finite {
        return None;
    }
    let usual = match bits {
        CodeBits::Four => Encoding::Q4,
        CodeBits::Eight => Encoding::Q8,
    };
    let Encoding::Block(usual) = usual else { unreachable!("both are blocks") };
    if let Some(exact) = lossless(constant, [&candidate.channel_axes, &candidate.k_axes], CodeBits::Eight) {
        return Some(Encoding::Block(exact));
    }
    // A scale below f16's normal numbers is taken for the smallest of them: at most half a step of the channel's own blocks.
    let smallest = f16::MIN_POSITIVE.to_f32() * 2.0 * bits.max_code() as f32;
    let halves = largest.iter().all(|max| *max == 0.0 || (smallest..=MAX_WITH_HALVES).contains(max));
    let scale = if halves { ScaleFormat::F16 } else { ScaleFormat::F32 };
    Some(Encoding::Block(BlockEncoding { scale, ..usual }))
}
