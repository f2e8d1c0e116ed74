//! ONNX operators that tract knows, and reads in some forms only: builders that take the place of its own.
//!
//! Each covers the forms that tract's refuses or reads otherwise, and falls back on tract's where it can. One stands
//! for what a choice between branches computes. They add no operator to the registry; what tract does not know at all
//! is a rewrite or has a file in `operators/`.

mod align;
mod built;
mod conv_transpose;
mod matmul;
mod pad;
mod range;
mod resize;
mod select;
mod slice;
mod squeeze;

use tract_onnx::model::OnnxOpRegister;

pub use align::ALIGN;
pub use resize::RESIZE_10;
pub use select::SELECT;

/// Puts the builders in place.
pub fn register(operators: &mut OnnxOpRegister) {
    operators.insert(ALIGN, align::build);
    operators.insert("ConvTranspose", conv_transpose::build);
    operators.insert("Einsum", super::einsum::from_onnx);
    operators.insert("MatMul", matmul::build);
    operators.insert("Pad", pad::build);
    operators.insert("Range", range::build);
    operators.insert(RESIZE_10, resize::build);
    operators.insert(SELECT, select::build);
    operators.insert("Slice", slice::build);
    operators.insert("Squeeze", squeeze::build);
}
