//! Which constants are stored as blocks of small integers, and how.
//!
//! Constants that the file keeps as small integers keep them, exactly, where their blocks lie along k ([`exact`]); others are stored
//! in floats that hold their elements. Float weights become blocks on request ([`choose`]): those of products and convolutions
//! whose sums are long enough, and tables of which rows are read. What they lose is `pack/quantize.rs`'s to keep small. Scales are
//! halves where these have all of their bits for every channel; a weight whose elements are exactly a scale and a minimum for
//! every block keeps them so. Weights that are not finite stay floats.

use super::half::in_parallel;
use super::half::range::Channels;
use super::ops::{is_depthwise, row_table, streamed_weight};
use crate::graph::constant::Constant;
use crate::graph::quantised::{Quantised, Width, ZeroPoints};
use crate::graph::{Graph, NodeId};
use flashmem_plan_format::encoding::{BlockEncoding, BlockLength, CodeBits, CodeOffset, Encoding, ScaleFormat};
use half::f16;
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
pub fn position(quantised: &Quantised, element: usize) -> Position {
    let (blocks, mut rest) = (quantised.blocks(), element);
    let mut found = Position { integer: 0, scale: 0, zero: 0 };
    for (axis, size) in quantised.shape().iter().enumerate().rev() {
        let (index, block) = (rest % size, rest % size / blocks.lengths[axis]);
        rest /= size;
        found.integer += index * quantised.places().strides[axis];
        found.scale += block * blocks.scale_places.strides[axis];
        found.zero += block * blocks.zero_places.strides[axis];
    }
    found
}

/// How the integers of a constant are stored as they are, when its lines of k are the elements at these row-major positions and
/// any that lie on other axes. `None` where blocks are no runs of one of our lengths, or values are rounded again.
pub fn exact(quantised: &Quantised, k: &[usize]) -> Option<BlockEncoding> {
    let blocks = quantised.blocks();
    if quantised.half() {
        return None;
    }
    let scale = scale_format(quantised)?;
    let (bits, bias) = code_bias(quantised);
    let offset = match &blocks.zeros {
        ZeroPoints::Same(zero) if zero + bias == bits.middle() as i32 => CodeOffset::Middle,
        ZeroPoints::Same(zero) if !(0..=255).contains(&(zero + bias)) => return None,
        ZeroPoints::Same(_) | ZeroPoints::Integers(_) => CodeOffset::ZeroPoint,
        ZeroPoints::Floats(_) => return None,
    };
    let parts: Vec<(usize, usize)> = k.iter().map(|k| position(quantised, *k)).map(|p| (p.scale, p.zero)).collect();
    let fits = |length: &BlockLength| {
        let run = parts.len().min(1 << length.log2()).max(1);
        parts.chunks(run).all(|block| block.iter().all(|part| *part == block[0]))
    };
    let length = BlockLength::ALL.into_iter().find(fits)?;
    Some(BlockEncoding { bits, length, scale, offset })
}

/// How the scales of a constant are stored as they are; `None` where one is not finite.
fn scale_format(quantised: &Quantised) -> Option<ScaleFormat> {
    let scales = &quantised.blocks().scales;
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
pub fn code_bias(quantised: &Quantised) -> (CodeBits, i32) {
    let integers = quantised.integers();
    match (integers.width, &quantised.blocks().zeros) {
        // Integers of two bits about one zero are four-bit codes about the middle.
        (Width::Two, ZeroPoints::Same(zero)) if (-4..=4).contains(zero) => (CodeBits::Four, 8 - zero),
        (Width::Two, _) => (CodeBits::Four, if integers.signed { 2 } else { 0 }),
        (Width::Four, _) => (CodeBits::Four, if integers.signed { 8 } else { 0 }),
        (Width::Eight, _) => (CodeBits::Eight, if integers.signed { 128 } else { 0 }),
    }
}

/// A constant that may be stored in blocks: the axes of its channels, which are not along k.
struct Candidate {
    constant: NodeId,
    channel_axes: Vec<usize>,
}

/// Has the float weights of products and convolutions, and tables of rows, stored as blocks of 32.
pub fn choose(graph: &mut Graph, bits: CodeBits) {
    let list = candidates(graph);
    let encodings = in_parallel(&list, |candidate| {
        let constant = graph.constant(candidate.constant).expect("only constants are candidates");
        encoding(constant, &candidate.channel_axes, bits)
    });
    // A constant with several readers is stored as all of them can have it.
    let mut found: BTreeMap<NodeId, Option<Encoding>> = BTreeMap::new();
    for (candidate, encoding) in list.iter().zip(encodings) {
        let same = found.entry(candidate.constant).or_insert(encoding);
        if *same != encoding {
            *same = None;
        }
    }
    graph.encodings.extend(found.into_iter().filter_map(|(constant, encoding)| Some((constant, encoding?))));
}

fn candidates(graph: &Graph) -> Vec<Candidate> {
    let mut list = Vec::new();
    for node in graph.topological_order() {
        if let Some(weight) = streamed_weight(graph, node).filter(|_| !is_depthwise(graph, node)) {
            let constant = graph.operands(node)[weight.position];
            list.push(Candidate { constant, channel_axes: weight.channel_axes });
        }
        if let Some(constant) = row_table(graph, node) {
            list.push(Candidate { constant, channel_axes: vec![0] });
        }
    }
    list.retain(|candidate| {
        let shape = &graph.node(candidate.constant).shape;
        let channels: usize = candidate.channel_axes.iter().map(|axis| shape[*axis]).product();
        let elements: usize = shape.iter().product();
        let floats = graph.constant(candidate.constant).is_some_and(|constant| constant.as_quantised().is_none());
        floats && elements / channels.max(1) >= MIN_K
    });
    list
}

/// How a float weight is stored in blocks; `None` where it is not finite.
fn encoding(constant: &Constant, channel_axes: &[usize], bits: CodeBits) -> Option<Encoding> {
    let channels = Channels::of(&constant.shape, channel_axes);
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
    if bits == CodeBits::Four && is_scales_and_minima(constant, channel_axes) {
        return Some(Encoding::Block(BlockEncoding { offset: CodeOffset::Minimum, ..usual }));
    }
    // A scale below f16's normal numbers is taken for the smallest of them: at most half a step of the channel's own blocks.
    let smallest = f16::MIN_POSITIVE.to_f32() * 2.0 * bits.max_code() as f32;
    let halves = largest.iter().all(|max| *max == 0.0 || (smallest..=MAX_WITH_HALVES).contains(max));
    let scale = if halves { ScaleFormat::F16 } else { ScaleFormat::F32 };
    Some(Encoding::Block(BlockEncoding { scale, ..usual }))
}

/// Whether every block of 32 along k, where that lies in memory as it is summed, is a scale and a minimum, both halves, and codes
/// of 4 bits.
fn is_scales_and_minima(constant: &Constant, channel_axes: &[usize]) -> bool {
    let (lines, length, line_step, step) = match (constant.shape.as_slice(), channel_axes) {
        ([lines, rest @ ..], [0]) => {
            let length = rest.iter().product();
            (*lines, length, length, 1)
        }
        ([length, lines], [1]) => (*lines, *length, 1, *lines),
        _ => return false,
    };
    let mut block = Vec::with_capacity(32);
    (0..lines).all(|line| {
        (0..length).step_by(32).all(|first| {
            block.clear();
            let end = length.min(first + 32);
            block.extend((first..end).map(|k| constant.f32_at(line * line_step + k * step)));
            scale_and_minimum(&block).is_some()
        })
    })
}

/// The scale and the minimum of which a block is made, exactly, with codes of 4 bits.
pub fn scale_and_minimum(block: &[f32]) -> Option<(f16, f16)> {
    let (min, max) = block.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    let minimum = f16::from_f32(min);
    let normal = |half: f16| half.is_normal() || half == f16::ZERO;
    if minimum.to_f32().to_bits() != (min + 0.0).to_bits() || !normal(minimum) {
        return None;
    }
    let near = f16::from_f32((max - min) / 15.0);
    let around = [near.to_bits(), near.to_bits().wrapping_sub(1), near.to_bits() + 1].map(f16::from_bits);
    let is_exact = |scale: &f16| {
        let scale = scale.to_f32();
        block.iter().all(|value| {
            let code = code_of(*value - min, scale, 15);
            code * scale + min == *value
        })
    };
    around.into_iter().filter(|scale| normal(*scale)).find(is_exact).map(|scale| (scale, minimum))
}

/// The code from 0 to `max` nearest to a value of this scale.
pub fn code_of(value: f32, scale: f32, max: u32) -> f32 {
    if scale == 0.0 { 0.0 } else { (value / scale).round_ties_even().clamp(0.0, max as f32) }
}
