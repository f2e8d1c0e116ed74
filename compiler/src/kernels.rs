//! The kernels: the one place that names every `.wgsl` file.
//!
//! A kernel's body is linked by `emit` with the functions that it expects, in this order: body, weight access, element-wise
//! functions, and the generated expression. Bindings: 0 the parameters, 1 the weight arena (when weights are read), 2 the
//! output, then the operands. This file deliberately holds no WGSL.

/// A kernel body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each name is that of its file, whose header documents it")]
pub enum Kernel {
    Matmul,
    MatmulRows,
    MatmulVec,
    MatmulDyn,
    Conv,
    Conv1x1,
    ConvDepthwise,
    Attention,
    Pointwise,
    Softmax,
    Normalize,
    Reduce,
    ArgReduce,
    Gather,
    Copy,
    Pad,
    Resize,
    Pool,
}
