//! Operators with a kernel of their own: one closed enum of plain structs, and what the graph asks of each.
//!
//! An operator is a struct of parameters, nothing more (`parameters.rs`). `for_each_kernel_op!` is their one list, from which
//! follow the enum [`KernelOp`], one variant of the graph's `Op`, and the tables of the stages above: kernels (`kernels.rs`) and
//! lowering (`lower/ops/kernel_op.rs`). The implementations stand in `operators/`, one file an operator, which nothing here
//! imports. Optimisation leaves these nodes alone: they take no epilogue, are not folded, and are cut only along the axes that
//! they name.

mod parameters;

pub use parameters::{Accumulation, SampleKind, SamplePadding};

use super::constant::Dtype;
use super::shape_error::ShapeError;
use super::tensor::Tensor;
use std::ops::RangeInclusive;

/// Gives the list of the operators to a macro.
macro_rules! for_each_kernel_op {
    ($then:ident) => {
        $then! {
            CachedAttention,
            Cumulative,
            DeformableColumns,
            Det,
            GridSample,
            Inverse,
            LinearAttention,
            MaxRoiPool,
            RoiAlign,
            Rotary,
            TensorScatter,
            TopK,
        }
    };
}
pub(crate) use for_each_kernel_op;

/// Shape and type of an operand.
pub type TypedShape<'a> = (&'a [usize], Dtype);

/// The shapes and types of an operator's operands, and the errors that an operator gives for them.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    op: &'static str,
    list: &'a [TypedShape<'a>],
}

impl<'a> Operands<'a> {
    /// The operands of an operator of this name.
    pub const fn new(op: &'static str, list: &'a [TypedShape<'a>]) -> Self {
        Self { op, list }
    }

    /// As many operands as `N`: their shapes and types. `text` says the number in the error.
    pub fn exactly<const N: usize>(&self, text: &'static str) -> Result<[TypedShape<'a>; N], ShapeError> {
        let count = ShapeError::OperandCount { op: self.op, expected: text, found: self.list.len() };
        <[TypedShape<'_>; N]>::try_from(self.list).map_err(|_| count)
    }

    /// The first `N` operands, and one more where it is given. `text` says the number in the error.
    pub fn optional_last<const N: usize>(
        &self,
        text: &'static str,
    ) -> Result<([TypedShape<'a>; N], Option<TypedShape<'a>>), ShapeError> {
        let count = ShapeError::OperandCount { op: self.op, expected: text, found: self.list.len() };
        match self.list.split_first_chunk::<N>() {
            Some((first, rest)) if rest.len() <= 1 => Ok((*first, rest.first().copied())),
            _ => Err(count),
        }
    }

    /// All operands.
    pub const fn list(&self) -> &'a [TypedShape<'a>] {
        self.list
    }

    /// The operand at `position` has this type.
    pub fn typed(&self, position: usize, expected: Dtype) -> Result<(), ShapeError> {
        let found = self.list[position].1;
        if found == expected {
            return Ok(());
        }
        Err(ShapeError::Dtype { op: self.op, operand: position, expected, found })
    }

    /// The operand at `position` has a shape that fits.
    pub fn fits(&self, position: usize, fits: bool, reason: &'static str) -> Result<(), ShapeError> {
        let shape = || self.list[position].0.to_vec();
        if fits { Ok(()) } else { Err(ShapeError::Shape { op: self.op, operand: position, shape: shape(), reason }) }
    }
}

/// What the graph asks of an operator.
pub trait KernelOperator {
    /// Shape and type of its result.
    ///
    /// # Errors
    /// Which operand it does not accept, and why.
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError>;

    /// What it computes, on the CPU: the oracle of its kernel. `shape` is that of the result. It defines what the kernel
    /// does for every value of the operands, those included that ONNX leaves undefined.
    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor;

    /// Which operands are indices, and what they may be, for operands of these shapes.
    fn indices(&self, _operands: &[Vec<usize>]) -> Vec<(usize, RangeInclusive<i64>)> {
        Vec::new()
    }

    /// The axis along which each operand is cut when the result is cut along `axis`, `None` for a whole operand. An operator
    /// whose result cannot be computed in parts along that axis gives `None`, and is refused if its result is too large.
    fn cut(&self, _axis: usize) -> Option<Vec<Option<usize>>> {
        None
    }
}

/// The enum of the operators.
macro_rules! kernel_ops {
    ($($name:ident,)*) => {
        pub use parameters::{$($name,)*};

        /// An operator with a kernel of its own.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "each struct has its own documentation")]
        pub enum KernelOp {
            $($name($name),)*
        }

        /// Which one, without its parameters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each struct has its own documentation")]
        pub enum KernelOpKind {
            $($name,)*
        }

        impl KernelOp {
            /// Its behaviour.
            pub fn behaviour(&self) -> &dyn KernelOperator {
                match self {
                    $(Self::$name(op) => op,)*
                }
            }

            /// Which one it is.
            pub const fn kind(&self) -> KernelOpKind {
                match self {
                    $(Self::$name(_) => KernelOpKind::$name,)*
                }
            }
        }

        impl KernelOpKind {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Name for people and error messages.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }

        $(impl From<$name> for KernelOp {
            fn from(op: $name) -> Self {
                Self::$name(op)
            }
        })*
    };
}
for_each_kernel_op!(kernel_ops);
