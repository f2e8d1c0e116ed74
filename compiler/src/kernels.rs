//! The kernels: the one place that names every `.wgsl` file.
//!
//! A kernel's body is linked by `emit` with the functions that it expects, in this order: body, weight access, element-wise
//! functions, and the generated expression. Bindings: 0 the parameters, 1 the weight arena (when weights are read), 2 the
//! output, then the kernel's own operands, then those of the expression. `emit` compares every row here with what naga
//! reflects. The kernels of `operators/` have their rows there. This file deliberately holds no WGSL.

use crate::operators::KernelOpKind;
use crate::schedule::OperatorClass;

/// Which generated function a body expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// None; an expression is refused.
    None,
    /// `epilogue(value, batch, m, n)`; the identity without an expression.
    Epilogue,
    /// `pointwise(near, far)`; an expression is required.
    Pointwise,
    /// `score_mask(score, batch, head, i, j)`, the expression (input 0 the score, up to [`MAX_SCORE_OPERANDS`] others) or the
    /// identity; and an `epilogue`, always the identity.
    ScoreMask,
}

/// Operands that what attention does with its scores has at most: the parameters have that many places.
pub const MAX_SCORE_OPERANDS: usize = 3;

/// What is claimed about one kernel.
#[derive(Debug, Clone, Copy)]
pub struct KernelRow {
    /// File stem.
    pub name: &'static str,
    /// WGSL text.
    pub body: &'static str,
    /// Generated function that it expects.
    pub links: Links,
    /// Names of its storage buffers from binding 2 on: the output first.
    pub buffers: &'static [&'static str],
    /// Whether it reads the weight arena.
    pub uses_weights: bool,
    /// Whether it calls `weight_texel`.
    pub uses_weight_texel: bool,
    /// Whether its body calls functions.wgsl.
    pub uses_functions: bool,
    /// Names and values of the constants that say what one workgroup computes, along m and n (rows and columns).
    pub tile: [Option<(&'static str, u32)>; 2],
    /// The class that lowering gives its calls.
    pub class: OperatorClass,
}

/// The stem of a kernel's file, and its text.
macro_rules! body {
    ($name:literal) => {
        ($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/kernels/", $name, ".wgsl")))
    };
}
pub(crate) use body;

/// The row of a kernel that reads no weights.
pub const fn row(
    (name, body): (&'static str, &'static str),
    links: Links,
    buffers: &'static [&'static str],
) -> KernelRow {
    KernelRow {
        name,
        body,
        links,
        buffers,
        uses_weights: false,
        uses_weight_texel: false,
        uses_functions: false,
        tile: [None; 2],
        class: OperatorClass::Elemental,
    }
}

impl KernelRow {
    const fn weights(self) -> Self {
        Self { uses_weights: true, ..self }
    }
    const fn weight_texel(self) -> Self {
        Self { uses_weight_texel: true, ..self }
    }
    const fn functions(self) -> Self {
        Self { uses_functions: true, ..self }
    }
    const fn tile(self, m: u32, n: u32) -> Self {
        Self { tile: [Some(("TILE_M", m)), Some(("TILE_N", n))], ..self }
    }
    /// Another class than elemental.
    pub const fn class(self, class: OperatorClass) -> Self {
        Self { class, ..self }
    }
    const fn tile_named(self, name: &'static str, size: u32) -> Self {
        Self { tile: [Some((name, size)), None], ..self }
    }
}

const PRODUCT: &[&str] = &["out", "x"];
const ATTENTION: &[&str] = &["out", "q", "k", "v"];

const REUSABLE: OperatorClass = OperatorClass::Reusable;
const HIERARCHICAL: OperatorClass = OperatorClass::Hierarchical;

/// The enum of kernels, their list and their rows from one table.
macro_rules! kernels {
    ($($kernel:ident => $row:expr,)*) => {
        /// A kernel body.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each name is that of its file, whose header documents it")]
        pub enum Kernel {
            $($kernel,)*
            /// The kernel of an operator of `operators/`.
            Of(KernelOpKind),
        }

        const TABLE: &[Kernel] = &[$(Kernel::$kernel,)*];

        impl Kernel {
            /// Its row of the table.
            pub const fn row(self) -> &'static KernelRow {
                match self {
                    $(Self::$kernel => const { &$row },)*
                    Self::Of(kind) => kind.kernel(),
                }
            }
        }
    };
}

kernels! {
    Matmul => row(body!("matmul"), Links::Epilogue, PRODUCT).weights().tile(64, 128).class(REUSABLE),
    MatmulTiled => row(body!("matmul_tiled"), Links::Epilogue, PRODUCT).weights().tile(32, 64).class(REUSABLE),
    MatmulWide => row(body!("matmul_wide"), Links::Epilogue, PRODUCT).weights().tile(128, 256).class(REUSABLE),
    MatmulRows => row(body!("matmul_rows"), Links::Epilogue, PRODUCT)
        .weights()
        .weight_texel()
        .tile(4, 512)
        .class(REUSABLE),
    MatmulVec => row(body!("matmul_vec"), Links::Epilogue, PRODUCT)
        .weights()
        .weight_texel()
        .tile(1, 256)
        .class(REUSABLE),
    MatmulDynTiled => row(body!("matmul_dyn_tiled"), Links::Epilogue, &["out", "a", "c"]).tile(32, 64).class(REUSABLE),
    MatmulDynWide => row(body!("matmul_dyn_wide"), Links::Epilogue, &["out", "a", "c"]).tile(128, 64).class(REUSABLE),
    ConvTiled => row(body!("conv_tiled"), Links::Epilogue, PRODUCT).weights().tile(32, 64).class(REUSABLE),
    ConvWide => row(body!("conv_wide"), Links::Epilogue, PRODUCT).weights().tile(128, 256).class(REUSABLE),
    ConvDepthwise => row(body!("conv_depthwise"), Links::Epilogue, PRODUCT)
        .weights()
        .weight_texel()
        .tile_named("TILE_M", 128)
        .class(REUSABLE),
    ConvDepthwise3x3 => row(body!("conv_depthwise_3x3"), Links::Epilogue, PRODUCT)
        .weights()
        .weight_texel()
        .tile_named("INVOCATIONS", 64)
        .class(REUSABLE),
    Attention => row(body!("attention"), Links::ScoreMask, ATTENTION).tile_named("TILE_ROWS", 32).class(HIERARCHICAL),
    Attention128 => row(body!("attention_128"), Links::ScoreMask, ATTENTION)
        .tile_named("TILE_ROWS", 32)
        .class(HIERARCHICAL),
    AttentionWide => row(body!("attention_wide"), Links::ScoreMask, ATTENTION)
        .tile_named("TILE_ROWS", 32)
        .class(HIERARCHICAL),
    AttentionWide128 => row(body!("attention_wide_128"), Links::ScoreMask, ATTENTION)
        .tile_named("TILE_ROWS", 32)
        .class(HIERARCHICAL),
    Pointwise => row(body!("pointwise"), Links::Pointwise, &["out"]),
    Softmax => row(body!("softmax"), Links::None, PRODUCT).functions().class(HIERARCHICAL),
    Normalize => row(body!("normalize"), Links::Epilogue, PRODUCT).class(HIERARCHICAL),
    Reduce => row(body!("reduce"), Links::None, PRODUCT).class(HIERARCHICAL),
    ArgReduce => row(body!("arg_reduce"), Links::None, PRODUCT).class(HIERARCHICAL),
    Gather => row(body!("gather"), Links::None, &["out", "x", "indices"]),
    Copy => row(body!("copy"), Links::None, PRODUCT),
    Pad => row(body!("pad"), Links::None, PRODUCT),
    Resize => row(body!("resize"), Links::None, &["out", "x", "table"]),
    Pool => row(body!("pool"), Links::None, PRODUCT),
    Fold => row(body!("fold"), Links::None, PRODUCT),
    Scatter => row(body!("scatter"), Links::None, &["out", "rows", "updates"]),
    Unpack => row(body!("unpack"), Links::None, &["out"]).weights().weight_texel(),
}

/// `weight_texel`, for the kernels that call it.
pub const WEIGHT_TEXEL: &str = include_str!("../kernels/weights_texture.wgsl");

/// Element-wise functions.
pub const FUNCTIONS: &str = include_str!("../kernels/functions.wgsl");

impl Kernel {
    /// Every kernel.
    pub fn all() -> impl Iterator<Item = Self> {
        let operators = KernelOpKind::ALL.iter().map(|kind| Self::Of(*kind));
        TABLE.iter().copied().chain(operators)
    }
    /// File stem.
    pub const fn name(self) -> &'static str {
        self.row().name
    }
    /// WGSL text.
    pub const fn body(self) -> &'static str {
        self.row().body
    }
    /// What it links.
    pub const fn links(self) -> Links {
        self.row().links
    }
    /// Operand buffers of its own, after the output.
    pub const fn own_operands(self) -> usize {
        self.row().buffers.len() - 1
    }
    /// Rows and columns that one workgroup computes; 1 where it has no such tile.
    pub const fn tile(self) -> (usize, usize) {
        let [m, n] = &self.row().tile;
        (
            match m {
                Some((_, size)) => *size as usize,
                None => 1,
            },
            match n {
                Some((_, size)) => *size as usize,
                None => 1,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Kernel;

    #[test]
    fn every_kernel_file_is_registered() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/kernels")).expect("the folder exists");
        let mut found: Vec<String> = files
            .map(|f| f.expect("readable").path().file_stem().expect("a file").to_string_lossy().into_owned())
            .filter(|f| !matches!(f.as_str(), "functions" | "weights_texture"))
            .collect();
        found.sort();
        let mut known: Vec<&str> = Kernel::all().map(Kernel::name).collect();
        known.sort_unstable();
        assert_eq!(found, known);
    }
}
