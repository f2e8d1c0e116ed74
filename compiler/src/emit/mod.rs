//! Emit: a kernel body and an element-wise program → one linked WGSL module.
//!
//! The text is the decoding of weights, body, shared files, the functions that are called (`called`) and generated expression,
//! in this order, without comments and indentation. What is marked in a kernel is unrolled (`unroll`); messages name the line
//! that the kernel's source has. naga parses and validates every module with what plain WebGPU has, and what the runtime needs
//! to know is reflected from naga's module and compared with the kernel table. The text depends on the kernel, the encoding and
//! the expression alone. It deliberately knows no shapes: these are parameters.

mod block;
mod cache;
mod called;
mod codegen;
mod error;
mod expression;
mod hidden;
mod link;
mod loops;
mod mistake;
mod names;
mod place;
mod reflect;
mod registers;
mod rotate;
#[cfg(test)]
mod tests;
mod tokens;
mod unroll;

pub use block::{Block, ParamError, ParamMistake};
pub use cache::{KernelCache, LinkKey, is_cooperative};
pub use error::EmitError;
pub use expression::{Expression, operand_count};
pub use link::{Form, Linked, link, link_form};
pub use mistake::{Mistake, UnrollError};
pub use place::Place;
