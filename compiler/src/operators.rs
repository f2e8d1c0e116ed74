//! Operators with a kernel of their own: all that the stages ask of each, one file an operator.
//!
//! The structs are plain data of the graph (`graph/kernel_op/`); here stand inference and oracle (`KernelOperator`), the row of
//! the kernel (`OwnKernel`), lowering (`LowerKernelOp`) and what ONNX's node becomes (`from_onnx`). The stages reach all of it
//! through these, and nothing imports this folder.

mod cached_attention;
mod cumulative;
mod deform_conv;
mod det;
mod grid_sample;
mod inverse;
mod linear_attention;
mod max_roi_pool;
mod roi_align;
mod rotary;
mod tensor_scatter;
#[cfg(test)]
mod tests;
mod top_k;
