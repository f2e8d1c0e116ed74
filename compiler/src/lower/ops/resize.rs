//! Resampling: coordinates are computed here, as ONNX Runtime does it in f32, and handed to the kernel as tables.
//!
//! A division on the device may round differently and pick the wrong element; a table cannot. Neighbouring axes that keep
//! their size merge; up to four axes may be left.

use super::copy::dense;
use super::strided::{cost, linear, reversed, word};
use crate::graph::NodeId;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::{CoordinateMode, NearestMode, ResizeKind};
use crate::kernels::Kernel;
use crate::lower::LowerError;
use crate::lower::context::{Call, Lowering};
use crate::lower::view::View;
use crate::schedule::OperatorClass;

/// Axes of the kernel.
const MAX_AXES: usize = 4;

/// One axis of a resize.
#[derive(Debug, Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    stride: i64,
    scale: f32,
}

impl Axis {
    fn is_kept(self) -> bool {
        self.input == self.output && self.scale.to_bits() == 1.0_f32.to_bits()
    }

    /// Place of output coordinate `x` in the input.
    fn source(self, x: usize, mode: CoordinateMode) -> f32 {
        let x = x as f32;
        if self.is_kept() {
            return x;
        }
        match mode {
            CoordinateMode::HalfPixel => (x + 0.5) / self.scale - 0.5,
            CoordinateMode::PytorchHalfPixel if self.output > 1 => (x + 0.5) / self.scale - 0.5,
            CoordinateMode::AlignCorners if self.output > 1 => {
                x * (self.input as f32 - 1.0) / (self.output as f32 - 1.0)
            }
            CoordinateMode::PytorchHalfPixel | CoordinateMode::AlignCorners => 0.0,
            CoordinateMode::Asymmetric => x / self.scale,
        }
    }

    /// Lower index, upper index and weight of the upper one for every output coordinate.
    fn table(self, kind: ResizeKind, mode: CoordinateMode) -> Vec<[i32; 3]> {
        let last = self.input as i32 - 1;
        (0..self.output)
            .map(|x| {
                let source = self.source(x, mode);
                match kind {
                    ResizeKind::Nearest(rounding) => {
                        let index = nearest(source, rounding).clamp(0, last);
                        [index, index, 0]
                    }
                    ResizeKind::Linear => {
                        let inside = source.clamp(0.0, last as f32);
                        let lower = (inside as i32).min(last);
                        let weight = inside - lower as f32;
                        [lower, (lower + 1).min(last), weight.to_bits() as i32]
                    }
                }
            })
            .collect()
    }
}

fn nearest(x: f32, mode: NearestMode) -> i32 {
    let rounded = match mode {
        NearestMode::Floor => x.floor(),
        NearestMode::Ceil => x.ceil(),
        NearestMode::RoundPreferFloor if x == x.floor() + 0.5 => x.floor(),
        NearestMode::RoundPreferFloor | NearestMode::RoundPreferCeil => x.round(),
    };
    rounded as i32
}

/// The axes, neighbours that keep their size merged; outermost first.
fn axes(x: &View, output: &[usize], scales: &[f32]) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::new();
    for i in 0..output.len() {
        let axis = Axis { input: x.shape[i], output: output[i], stride: x.strides[i], scale: scales[i] };
        match merged.last_mut() {
            Some(outer) if outer.is_kept() && axis.is_kept() && joins(*outer, axis) => {
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

fn joins(outer: Axis, inner: Axis) -> bool {
    outer.input == 1 || inner.input == 1 || outer.stride == inner.stride * inner.input as i64
}

/// Lowers a resize; its epilogue is left.
pub fn lower(
    lowering: &mut Lowering<'_>,
    id: NodeId,
    kind: ResizeKind,
    mode: CoordinateMode,
    scales: &[f32],
) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let no_kernel = |reason| LowerError::NoKernel { node: node.name.clone(), op: "Resize", reason };
    let operand = graph.operands(id)[0];
    let dtype = graph.node(operand).dtype;
    let mut x = lowering.view(operand);
    if x.is_empty() && node.shape.iter().product::<usize>() > 0 {
        return Err(no_kernel("an empty tensor cannot be enlarged"));
    }
    let mut list = axes(&x, &node.shape, scales);
    if list.len() > MAX_AXES {
        x = dense(lowering, &x, dtype, &node.name);
        list = axes(&x, &node.shape, scales);
    }
    if list.len() > MAX_AXES {
        return Err(no_kernel("more than four axes are left after merging those that keep their size"));
    }
    let linear_axes = |a: &&Axis| kind == ResizeKind::Linear && !a.is_kept();
    if dtype != Dtype::F32 && list.iter().any(|a| linear_axes(&a)) {
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
        starts.push(words.len() as u32);
        words.extend(axis.table(kind, mode).into_iter().flatten());
    }
    // Axes that the kernel has and the tensor lacks read one entry of zeros.
    let zeros = words.len() as u32;
    words.extend([0; 3]);
    let table = lowering.resident(&Constant::from_i32(vec![words.len()], &words));
    let mask: u32 = list.iter().rev().enumerate().filter(|(_, a)| linear_axes(a)).map(|(bit, _)| 1 << bit).sum();
    let (workgroups, width) = linear(count);
    let mut params = vec![count as u32, mask, width, word(x.offset)];
    params.extend(reversed::<4>(&list.iter().map(|a| a.output as u32).collect::<Vec<_>>(), 1));
    params.extend(reversed::<4>(&list.iter().map(|a| word(a.stride)).collect::<Vec<_>>(), 0));
    params.extend(reversed::<4>(&starts, zeros));
    lowering.call(Call {
        kernel: Kernel::Resize,
        expression: None,
        params,
        output: out.tensor,
        inputs: vec![x.tensor, table.tensor],
        workgroups,
        weight_texels: None,
        node: node.name.clone(),
        cost: cost(OperatorClass::Elemental, count << mask.count_ones(), count, count << mask.count_ones()),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Axis, nearest};
    use crate::graph::op::{CoordinateMode, NearestMode, ResizeKind};

    #[test]
    fn halves_round_as_their_mode_says() {
        let modes =
            [NearestMode::Floor, NearestMode::Ceil, NearestMode::RoundPreferFloor, NearestMode::RoundPreferCeil];
        let rounded = |x: f32| modes.map(|m| nearest(x, m));
        assert_eq!(rounded(1.5), [1, 2, 1, 2]);
        assert_eq!(rounded(-0.25), [-1, 0, 0, 0]);
        assert_eq!(rounded(0.75), [0, 1, 1, 1]);
    }

    #[test]
    fn half_pixel_doubling_interpolates_by_quarters() {
        let axis = Axis { input: 2, output: 4, stride: 1, scale: 2.0 };
        let table = axis.table(ResizeKind::Linear, CoordinateMode::HalfPixel);
        let weights: Vec<(i32, f32)> = table.iter().map(|t| (t[0], f32::from_bits(t[2] as u32))).collect();
        assert_eq!(weights, [(0, 0.0), (0, 0.25), (0, 0.75), (1, 0.0)]);
    }
}
