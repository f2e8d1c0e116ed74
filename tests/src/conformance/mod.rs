//! The ONNX backend node tests through compile → bundle → replay, one device for all of them.
//!
//! Takes the tests of an archive or folder; returns one verdict a test and the text of the committed table. Inputs that a
//! static compiler must know (`bind.rs`) become initialisers, all others are fed at run time. Nothing is skipped: a test
//! passes, is refused by the compiler with a reason, or is a failure. It deliberately knows no expected verdicts.

pub mod archive;
mod bind;
mod compare;
pub mod message;
mod run;
pub mod table;

pub use run::{Verdict, run_all};
