//! An element-wise program as a kernel links it: which of its operands lie in one buffer.
//!
//! Lowering makes it when tensors are known; `emit` generates WGSL from it. Two views of one tensor are read through one
//! binding, because a browser refuses to bind overlapping writable ranges in one dispatch. It deliberately holds no view:
//! offsets and strides are parameters.

use crate::graph::pointwise::Pointwise;
use crate::kernels::{Hook, Kernel};
use crate::narrow::index32;

/// A program and the buffers of its operands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Expression {
    /// What is computed.
    pub program: Pointwise,
    /// For every operand (the inputs, without input 0 where that is the kernel's own value), the position of its buffer
    /// among all operand buffers of the call: those of the kernel come first.
    pub buffers: Vec<u32>,
}

/// Inputs of a linked program that are operands: all, or all but the kernel's own value.
pub fn operand_count(kernel: Kernel, program: &Pointwise) -> usize {
    match kernel.hook() {
        Hook::None => 0,
        Hook::Pointwise => program.inputs.len(),
        Hook::Epilogue | Hook::ScoreMask => program.inputs.len() - 1,
    }
}

impl Expression {
    /// A program whose operands lie in buffers of their own.
    pub fn of_distinct(kernel: Kernel, program: Pointwise) -> Self {
        let own = index32(kernel.own_operands());
        let buffers = (0..operand_count(kernel, &program) as u32).map(|i| own + i).collect();
        Self { program, buffers }
    }

    /// A call's program and operand buffers, `operands` being the kernel's own followed by the program's: each buffer of the
    /// program appears once, and not at all where it is one of the kernel's own.
    pub fn shared<B: Copy + PartialEq>(kernel: Kernel, program: Pointwise, operands: &[B]) -> (Self, Vec<B>) {
        let (own, of_program) = operands.split_at(kernel.own_operands());
        let mut distinct = own.to_vec();
        let buffers = of_program
            .iter()
            .map(|operand| match distinct.iter().position(|b| b == operand) {
                Some(position) => index32(position),
                None => {
                    distinct.push(*operand);
                    index32(distinct.len()) - 1
                }
            })
            .collect();
        (Self { program, buffers }, distinct)
    }

    /// Buffers that the program adds to the kernel's own.
    pub fn added_buffers(&self, kernel: Kernel) -> u32 {
        let own = index32(kernel.own_operands());
        self.buffers.iter().map(|b| b + 1).max().unwrap_or(own).max(own) - own
    }
}
