//! The operators of our graph: plain data, one enum.
//!
//! Import translates tract's typed operators into these; optimisation rewrites them; lowering turns each into kernel calls
//! or views. Every operator gives one tensor of one type. Behaviour deliberately lives elsewhere: shapes in `infer.rs`,
//! kernels in `lower/`, and all of it in `operators/` for an operator with a file there.

use super::constant::Constant;
use super::kernel_op::KernelOp;
use super::pointwise::Pointwise;

/// What attention gives for a query without any key: a row of scores that are all −∞, and would be whatever the products are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmptyRow {
    /// NaN, as softmax does.
    Nan,
    /// Weights of 0, as the operator `Attention` of ONNX does.
    Zero,
}

/// Which reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the mathematical ones")]
pub enum ReduceKind {
    Sum,
    Mean,
    SumSquare,
    /// Mean of squares.
    MeanSquare,
    /// NaN where an element is.
    Max,
    /// NaN where an element is.
    Min,
    /// The largest number, without elements that are none; −∞ where there is no number. Of f32.
    MaxNumber,
    Product,
    /// Σ|x|.
    L1,
    /// √Σx².
    L2,
}

/// Which pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// Maximum; padding never wins.
    Max,
    /// Row-major index (i32) of the first maximum within its channel.
    MaxIndex,
    /// Mean over the window.
    Average {
        /// Whether padding counts in the divisor.
        count_include_pad: bool,
    },
    /// (Σ |x|^p)^(1 / p) over the window; padding is 0.
    Norm {
        /// p, at least 1.
        p: u32,
    },
}

/// A sliding window over the spatial axes (one to three of them): convolution and pooling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    /// Extent of the window.
    pub kernel: Vec<usize>,
    /// Steps.
    pub strides: Vec<usize>,
    /// Distances between taps.
    pub dilations: Vec<usize>,
    /// Padding before the first element of each axis.
    pub pads_before: Vec<usize>,
    /// Padding after the last. With `ceil_mode` pooling, import enlarges it so that the output size follows by the floor rule.
    pub pads_after: Vec<usize>,
}

/// How a scatter combines an element with an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are ONNX's reductions")]
pub enum ScatterKind {
    /// The update replaces it.
    Replace,
    Add,
    Mul,
    Min,
    Max,
}

/// How a normalisation centres its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NormKind {
    /// (x − mean) / √(variance + ε).
    Layer,
    /// x / √(mean of squares + ε).
    Rms,
}

/// What padding holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PadMode {
    /// A value.
    Constant(f32),
    /// Mirror without repeating the edge.
    Reflect,
    /// The edge repeated.
    Edge,
}

/// What every output coordinate of one axis of a resize reads: `window` input coordinates, and the weight of each. An index of
/// −1 stands for an output coordinate that is filled instead.
#[derive(Debug, Clone, PartialEq)]
pub struct Taps {
    /// Elements that an output coordinate reads; 0 when the axis is kept as it is.
    pub window: usize,
    /// Input coordinates, `window` for each output coordinate.
    pub indices: Vec<i32>,
    /// Their weights.
    pub weights: Vec<f32>,
}

impl Taps {
    /// An axis that keeps its elements.
    pub const fn kept() -> Self {
        Self { window: 0, indices: Vec::new(), weights: Vec::new() }
    }

    /// Whether the axis keeps its elements.
    pub const fn is_kept(&self) -> bool {
        self.window == 0
    }

    /// Adds an element that the next output coordinate reads.
    pub fn push(&mut self, index: i32, weight: f32) {
        self.indices.push(index);
        self.weights.push(weight);
    }

    /// The next output coordinate is filled.
    pub fn fill(&mut self) {
        for _ in 0..self.window {
            self.push(-1, 0.0);
        }
    }
}

/// An operator. Input shapes are those of the node's inputs, in order.
#[derive(Debug, Clone)]
pub enum Op {
    /// A public input. No inputs.
    Input,
    /// A constant. No inputs.
    Constant(Constant),
    /// Element-wise; inputs broadcast: each has the node's rank and each dimension is 1 or the node's.
    Pointwise(Pointwise),
    /// Σ over the axes that are not in `output` of a · b. Two inputs. Each list labels one tensor's axes; a label occurs at
    /// most once in a list, and every output label occurs in `a` or `b`. Matrix products of any layout are this.
    Einsum {
        /// Axes of the first input.
        a: Vec<u8>,
        /// Axes of the second input.
        b: Vec<u8>,
        /// Axes of the output.
        output: Vec<u8>,
    },
    /// Convolution. Inputs: x (batch, channels, spatial…), weight (outputs, channels / groups, kernel…).
    Conv {
        /// The window.
        window: Window,
        /// Number of groups.
        groups: usize,
    },
    /// Sum of overlapping windows, the second half of a transposed convolution: element (kernel…, spatial…) of a channel is
    /// added at spatial · stride + kernel · dilation − pad. One input: (batch, channels, kernel…, spatial…), one to three
    /// spatial axes; output (batch, channels, spatial…).
    Fold {
        /// The window of the forward convolution; pads shrink the output.
        window: Window,
        /// Extra elements at the end of each axis.
        output_padding: Vec<usize>,
    },
    /// Windows as axes of their own, a view: (batch, channels, spatial…) becomes (batch, channels, kernel…, spatial…), where
    /// element (kernel, spatial) is spatial · stride + kernel · dilation. One input, no padding.
    Unfold {
        /// Extent of the window.
        kernel: Vec<usize>,
        /// Steps.
        strides: Vec<usize>,
        /// Distances between taps.
        dilations: Vec<usize>,
    },
    /// Pooling of (batch, channels, spatial…). One input.
    Pool {
        /// The window.
        window: Window,
        /// Which one.
        kind: PoolKind,
    },
    /// exp(x − max) / Σ, or its logarithm, along one axis. One input.
    Softmax {
        /// The axis.
        axis: usize,
        /// Whether the logarithm is requested.
        log: bool,
    },
    /// Normalisation over the axes, without scale and shift (these are an epilogue or pointwise consumers). One input.
    Normalize {
        /// Which one.
        kind: NormKind,
        /// Axes, ascending.
        axes: Vec<usize>,
        /// ε.
        epsilon: f32,
    },
    /// softmax(score(scale · q kᵀ)) v. Inputs: q (batch…, i, d), k (batch…, j, d), v (batch…, j, e), and those of `score` after
    /// its first, of the output's rank, which broadcast to (batch…, i, j). Output: (batch…, i, e).
    Attention {
        /// Multiplies the products of queries and keys.
        scale: f32,
        /// What is done with every scaled product, its input 0, before the softmax: masks, biases, a soft cap.
        score: Option<Pointwise>,
        /// What a row gives whose scores are all −∞.
        empty_row: EmptyRow,
    },
    /// Reduction over the axes, which stay with size 1. One input.
    Reduce {
        /// Which one.
        kind: ReduceKind,
        /// Axes, ascending.
        axes: Vec<usize>,
    },
    /// Index (i32) of the largest or smallest element along an axis, which stays with size 1. One input.
    ArgReduce {
        /// The axis.
        axis: usize,
        /// Largest, or else smallest.
        max: bool,
        /// Of equal elements the last, or else the first.
        last: bool,
    },
    /// Elements of the first input along `axis` at the i32 indices of the second; negative ones count from the end.
    /// Output shape: data[..axis] + indices + data[axis + 1..].
    Gather {
        /// The axis.
        axis: usize,
    },
    /// A copy of the first input (rows, inner) in which row `rows[u]` of every u is combined with row u of the third, in
    /// ascending order of u. Inputs: data (rows, inner), i32 rows (updates), updates (updates, inner).
    Scatter {
        /// How.
        reduction: ScatterKind,
    },
    /// The same elements under another shape (the node's). One input.
    Reshape,
    /// Output axis i is input axis `permutation[i]`. One input.
    Transpose {
        /// The permutation.
        permutation: Vec<usize>,
    },
    /// Size-1 axes repeated to the node's shape. One input of the same rank.
    Broadcast,
    /// Along every axis, elements start, start + step, … as many as the node's shape says. One input.
    Slice {
        /// First element of each axis.
        starts: Vec<usize>,
        /// Steps, not zero; negative ones go backwards.
        steps: Vec<isize>,
    },
    /// The inputs one after the other along an axis. One or more inputs.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// Padding. One input.
    Pad {
        /// Elements before, by axis.
        before: Vec<usize>,
        /// Elements after, by axis.
        after: Vec<usize>,
        /// What padding holds.
        mode: PadMode,
    },
    /// Resampling to the node's shape: a weighted sum over the taps of every axis. One input.
    Resize {
        /// What each axis reads.
        axes: Vec<Taps>,
        /// Where an axis says so, the element itself.
        fill: f32,
    },
    /// An operator with a kernel of its own and a file in `operators/`.
    Kernel(KernelOp),
}

impl<T: Into<KernelOp>> From<T> for Op {
    fn from(op: T) -> Self {
        Self::Kernel(op.into())
    }
}

impl Op {
    /// Short name for people and error messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Constant(_) => "Constant",
            Self::Pointwise(_) => "Pointwise",
            Self::Einsum { .. } => "Einsum",
            Self::Conv { .. } => "Conv",
            Self::Fold { .. } => "Fold",
            Self::Unfold { .. } => "Unfold",
            Self::Scatter { .. } => "Scatter",
            Self::Pool { .. } => "Pool",
            Self::Softmax { .. } => "Softmax",
            Self::Normalize { .. } => "Normalize",
            Self::Attention { .. } => "Attention",
            Self::Reduce { .. } => "Reduce",
            Self::ArgReduce { .. } => "ArgReduce",
            Self::Gather { .. } => "Gather",
            Self::Reshape => "Reshape",
            Self::Transpose { .. } => "Transpose",
            Self::Broadcast => "Broadcast",
            Self::Slice { .. } => "Slice",
            Self::Concat { .. } => "Concat",
            Self::Pad { .. } => "Pad",
            Self::Resize { .. } => "Resize",
            Self::Kernel(op) => op.kind().name(),
        }
    }

    /// Whether the operator only re-reads its input's elements in place: lowering makes it a view where it can.
    pub const fn is_view(&self) -> bool {
        matches!(
            self,
            Self::Reshape | Self::Transpose { .. } | Self::Broadcast | Self::Slice { .. } | Self::Unfold { .. }
        )
    }
}
