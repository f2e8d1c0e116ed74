//! What an operator with a kernel of its own says about itself, and the parts that such operators share.
//!
//! An operator is a struct of parameters, nothing more; what the stages ask of it is the trait [`KernelOperator`], one
//! implementation a file. `kernel_operators!` makes one closed enum of all of them, which is one variant of the graph's `Op`
//! and one of `Kernel`. Optimisation leaves these nodes alone: they take no epilogue, are not folded, and are cut only along
//! the axes that they name. It deliberately knows no operator.

use crate::graph::constant::Dtype;
use crate::graph::interpret::Tensor;
use crate::graph::{NodeId, ShapeError};
use crate::kernels::Kernel;
use crate::lower::LowerError;
use crate::lower::context::{Call, Lowering};
use crate::lower::ops::strided::{cost, linear, reversed, word};
use crate::lower::view::View;
use std::ops::RangeInclusive;

/// Shape and type of an operand.
pub type Operand<'a> = (&'a [usize], Dtype);

/// The shapes and types of an operator's operands, and the errors that an operator gives for them.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    op: &'static str,
    list: &'a [Operand<'a>],
}

impl<'a> Operands<'a> {
    /// The operands of an operator of this name.
    pub const fn new(op: &'static str, list: &'a [Operand<'a>]) -> Self {
        Self { op, list }
    }

    /// As many operands as `N`: their shapes and types. `text` says the number in the error.
    pub fn exactly<const N: usize>(&self, text: &'static str) -> Result<[Operand<'a>; N], ShapeError> {
        let count = ShapeError::OperandCount { op: self.op, expected: text, found: self.list.len() };
        <[Operand<'_>; N]>::try_from(self.list).map_err(|_| count)
    }

    /// The first `N` operands, and one more where it is given. `text` says the number in the error.
    pub fn optional_last<const N: usize>(
        &self,
        text: &'static str,
    ) -> Result<([Operand<'a>; N], Option<Operand<'a>>), ShapeError> {
        let count = ShapeError::OperandCount { op: self.op, expected: text, found: self.list.len() };
        match self.list.split_first_chunk::<N>() {
            Some((first, rest)) if rest.len() <= 1 => Ok((*first, rest.first().copied())),
            _ => Err(count),
        }
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

/// What the stages ask of an operator.
pub trait KernelOperator {
    /// Shape and type of its result.
    ///
    /// # Errors
    /// Which operand it does not accept, and why.
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError>;

    /// What it computes, on the CPU: the oracle of its kernel. `shape` is that of the result. It defines what the kernel
    /// does for every value of the operands, those included that ONNX leaves undefined.
    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor;

    /// Appends its kernel calls. The operands are f32, i32 or truth values as `infer` wants them; the epilogue is the caller's.
    ///
    /// # Errors
    /// What the kernel has no form for.
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError>;

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

/// The enum of operators with a file here, from the list of their files and structs. Each has a constant `KERNEL`, its
/// kernel's row.
macro_rules! kernel_operators {
    ($($module:ident::$name:ident,)*) => {
        $(pub use $module::$name;)*

        /// An operator with a file in `operators/`.
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

            /// Its kernel.
            pub const fn kernel(self) -> &'static crate::kernels::KernelRow {
                match self {
                    $(Self::$name => &$name::KERNEL,)*
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
pub(super) use kernel_operators;

/// The call of a kernel with one invocation an output element: where its operands and its dense output lie.
pub struct Elements {
    /// The operator's own operands.
    pub operands: Vec<View>,
    /// The output.
    pub out: View,
    /// Elements of the output.
    pub count: usize,
    /// Invocations along x.
    pub width: u32,
    workgroups: [u32; 3],
}

impl Elements {
    /// Makes the output of a node; `None` when it has no elements, and there is nothing to call.
    pub fn of(lowering: &mut Lowering<'_>, id: NodeId) -> Option<Self> {
        let graph = lowering.graph();
        let own = graph.op_operand_count(id);
        let operands: Vec<View> = graph.operands(id)[..own].iter().map(|o| lowering.view(*o)).collect();
        let out = lowering.output(&graph.node(id).shape);
        lowering.set_view(id, out.clone());
        let count = out.len();
        let (workgroups, width) = linear(count);
        (count > 0).then_some(Self { operands, out, count, width, workgroups })
    }

    /// As many invocations as `count`, where one computes several elements.
    pub fn invocations(&mut self, count: usize) {
        (self.workgroups, self.width) = linear(count);
    }

    /// Appends the call: its parameters, and how many elements it reads and operations it needs in all.
    pub fn call(&self, lowering: &mut Lowering<'_>, kernel: Kernel, params: Vec<u32>, read: usize, flops: usize) {
        lowering.call(Call {
            kernel,
            expression: None,
            params,
            output: self.out.tensor,
            inputs: self.operands.iter().map(|view| view.tensor).collect(),
            workgroups: self.workgroups,
            weight_texels: None,
            cost: cost(kernel.row().class, read, self.count, flops),
        });
    }
}

/// Sizes innermost first, padded with 1.
pub fn sizes(list: &[usize]) -> [u32; 4] {
    reversed(&list.iter().map(|v| *v as u32).collect::<Vec<_>>(), 1)
}

/// Strides innermost first, padded with 0.
pub fn strides(list: &[i64]) -> [u32; 4] {
    reversed(&list.iter().map(|s| word(*s)).collect::<Vec<_>>(), 0)
}
