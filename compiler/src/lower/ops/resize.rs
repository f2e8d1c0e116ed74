//! Resampling: taps and weights of every axis go to the kernel as a table.
//!
//! Neighbouring axes that keep their size merge; up to four axes may be left.

use super::copy::dense;
use super::strided::{cost, linear, reversed, window_parts, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::Taps;
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::view::View;
use crate::narrow::index32;

/// Axes of the kernel.
const MAX_AXES: usize = 4;

/// One axis of a resize, or several that keep their elements.
#[derive(Debug, Clone, Copy)]
struct Axis<'a> {
    input: usize,
    output: usize,
    stride: i64,
    taps: &'a Taps,
}

impl Axis<'_> {
    const fn window(&self) -> usize {
        if self.taps.is_kept() { 1 } else { self.taps.window }
    }

    /// Index and weight of every tap of every output coordinate.
    fn table(&self) -> Vec<i32> {
        let one = 1.0_f32.to_bits() as i32;
        if self.taps.is_kept() {
            return (0..self.output as i32).flat_map(|i| [i, one]).collect();
        }
        self.taps.indices.iter().zip(&self.taps.weights).flat_map(|(i, w)| [*i, w.to_bits() as i32]).collect()
    }
}

/// The axes, neighbours that keep their elements merged; outermost first.
fn axes<'a>(x: &View, output: &[usize], taps: &'a [Taps]) -> Vec<Axis<'a>> {
    let mut merged: Vec<Axis<'a>> = Vec::new();
    for i in 0..output.len() {
        let axis = Axis { input: x.shape[i], output: output[i], stride: x.strides[i], taps: &taps[i] };
        match merged.last_mut() {
            Some(outer) if outer.taps.is_kept() && axis.taps.is_kept() && joins(*outer, axis) => {
                // An outer axis of size 1 has no stride of its own, and neither has an inner one.
                outer.stride = if axis.input == 1 { outer.stride } else { axis.stride };
                outer.input *= axis.input;
                outer.output *= axis.output;
            }
            _ => merged.push(axis),
        }
    }
    merged
}

fn joins(outer: Axis<'_>, inner: Axis<'_>) -> bool {
    outer.input == 1 || inner.input == 1 || outer.stride == inner.stride * inner.input as i64
}

/// The value that stands for an element outside, as the word that a buffer holds.
const fn fill_word(value: f32, dtype: Dtype) -> u32 {
    match dtype {
        Dtype::F32 => value.to_bits(),
        Dtype::I32 => (value as i32) as u32,
        Dtype::Bool => (value != 0.0) as u32,
    }
}

/// Lowers a resize; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, taps: &[Taps], fill: f32) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let no_kernel = |reason| LowerError::NoKernel { node: graph.label(id), op: "Resize", reason };
    let operand = graph.operands(id)[0];
    let dtype = graph.node(operand).dtype;
    let mut x = lowering.view(operand);
    let mut list = axes(&x, &node.shape, taps);
    if list.len() > MAX_AXES {
        x = dense(lowering, &x);
        list = axes(&x, &node.shape, taps);
    }
    if list.len() > MAX_AXES {
        return Err(no_kernel("more than four axes are left after merging those that keep their size"));
    }
    let copies = list.iter().all(|a| a.window() == 1);
    if dtype != Dtype::F32 && !copies {
        return Err(no_kernel("only f32 elements are interpolated"));
    }
    let out = lowering.output(&node.shape);
    lowering.set_view(id, out.clone());
    let count = out.len();
    if count == 0 {
        return Ok(());
    }
    let mut words: Vec<i32> = Vec::new();
    let mut starts: Vec<u32> = Vec::new();
    for axis in &list {
        starts.push(index32(words.len()));
        words.extend(axis.table());
    }
    // Axes that the kernel has and the tensor lacks read element 0 with weight 1.
    let nothing = index32(words.len());
    words.extend([0, 1.0_f32.to_bits() as i32]);
    let table = lowering.resident(&Constant::from_i32(vec![words.len()], &words));
    let (workgroups, width) = linear(count);
    let windows = reversed::<usize, 4>(&list.iter().map(|a| a.window()).collect::<Vec<_>>(), 1);
    let params = Params::new()
        .set("count", count)
        .set("copies", copies)
        .set("width", width)
        .set("offset", x.offset)
        .set("fill", fill_word(fill, dtype))
        .set("extents", reversed::<usize, 4>(&list.iter().map(|a| a.output).collect::<Vec<_>>(), 1))
        .set("strides", reversed::<u32, 4>(&list.iter().map(|a| word(a.stride)).collect::<Vec<_>>(), 0))
        .set("tables", reversed::<u32, 4>(&starts, nothing))
        .set("windows", windows);
    for (first, end) in window_parts(windows, lowering.max_rounds()) {
        let read: usize = (0..4).map(|axis| end[axis] - first[axis]).product();
        lowering.call(
            Call::of(Kernel::Resize, out.tensor)
                .params(params.clone().set("tap_first", first).set("tap_end", end))
                .reads([x.tensor, table.tensor])
                .over(workgroups)
                .cost(cost(OperatorClass::Elemental, count * read, count, 2 * count * read)),
        );
    }
    Ok(())
}
