//! The kernels: the one place that names every `.wgsl` file.
//!
//! A kernel's body is linked by `emit` with the files that it shares with others, the element-wise functions and the generated
//! expression, in this order, and where it reads weights with the file of their encoding in front; several kernels may be one body
//! with other constants. Bindings: 0 the parameters, 1 the weight
//! arena (when weights are read), 2 the output, then the kernel's own operands, then those of the expression. `emit` compares
//! every row here with what naga reflects. Operators with a kernel of their own have its row in `operators/`. No kernel is
//! without a function that counts the rounds of its loops (`kernels/rounds.rs`). This file deliberately holds no WGSL.

pub mod params;
pub mod rounds;

use crate::cost::OperatorClass;
use crate::graph::kernel_op::{KernelOpKind, for_each_kernel_op};
use flashmem_plan_format::plan::Encoding;
use rounds::{Rounds, lines, nest, once, tree};

/// Which generated function a body expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
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

/// Extra operands that an epilogue has at most: the size of `operands` in the parameters.
pub const MAX_EPILOGUE_OPERANDS: usize = 4;

/// Columns of a weight panel: what the product kernels expect.
pub const PANEL: usize = 32;

/// What is claimed about one kernel.
#[derive(Debug, Clone, Copy)]
pub struct KernelRow {
    /// Its name: the stem of its file, where it is the only kernel of the file.
    pub name: &'static str,
    /// Its file.
    pub body: WgslFile,
    /// Files that it is linked with.
    pub shared: &'static [WgslFile],
    /// Constants of these files that this kernel has another value of, and the values.
    pub constants: &'static [(&'static str, u32)],
    /// Generated function that it expects.
    pub hook: Hook,
    /// Names of its storage buffers from binding 2 on: the output first.
    pub buffers: &'static [&'static str],
    /// Whether it reads the weight arena.
    pub uses_weights: bool,
    /// Whether its body calls functions.wgsl.
    pub uses_functions: bool,
    /// Names and values of the constants that say what one workgroup computes, along m and n (rows and columns).
    pub tile: [Option<(&'static str, u32)>; 2],
    /// The class that lowering gives its calls.
    pub class: OperatorClass,
    /// Rounds of its loops.
    pub rounds: Rounds,
    /// Whether there are files that multiply matrices of halves in place of its own.
    pub cooperative: bool,
}

/// In what products and convolutions with streamed weights, and attention, are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Math {
    /// f32.
    #[default]
    F32,
    /// Products of halves, added up as f32, where weights, if there are any, are halves and the device multiplies matrices of these;
    /// else f32.
    Mixed,
}

impl Math {
    /// As the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Mixed => "mixed",
        }
    }
}

/// A file of WGSL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WgslFile {
    /// Its path below `kernels/`, without `.wgsl`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// A file below `kernels/`.
macro_rules! body {
    ($name:literal) => {
        crate::kernels::WgslFile {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/kernels/", $name, ".wgsl")),
        }
    };
}
pub(crate) use body;

/// The row of a kernel that reads no weights.
pub const fn row(body: WgslFile, hook: Hook, buffers: &'static [&'static str], rounds: Rounds) -> KernelRow {
    KernelRow {
        name: body.name,
        body,
        shared: &[],
        constants: &[],
        hook,
        buffers,
        uses_weights: false,
        uses_functions: false,
        tile: [None; 2],
        class: OperatorClass::Elemental,
        rounds,
        cooperative: false,
    }
}

impl KernelRow {
    const fn weights(self) -> Self {
        Self { uses_weights: true, ..self }
    }
    /// Linked with files that several kernels share.
    pub const fn shared(self, shared: &'static [WgslFile]) -> Self {
        Self { shared, ..self }
    }
    /// One of several kernels of a file, with constants of its own.
    const fn variant(self, name: &'static str, constants: &'static [(&'static str, u32)]) -> Self {
        Self { name, constants, ..self }
    }
    /// The only kernel of its file, with constants of its own.
    const fn constants(self, constants: &'static [(&'static str, u32)]) -> Self {
        Self { constants, ..self }
    }
    const fn cooperative(self) -> Self {
        Self { cooperative: true, ..self }
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

/// An invocation for every element, or whatever else the kernel counts.
pub const SHARED_EACH: WgslFile = body!("shared/each");
/// The parameters, the output and the first operand of kernels of floats.
pub const SHARED_FLOATS: WgslFile = body!("shared/floats");
/// The same of kernels of words.
pub const SHARED_WORDS: WgslFile = body!("shared/words");
/// What takes square matrices apart.
pub const SHARED_ELIMINATION: WgslFile = body!("shared/elimination");
const SHARED_TILED: WgslFile = body!("shared/tiled");
const SHARED_WIDE: WgslFile = body!("shared/wide");
/// What is in the place of some files where matrices of halves are multiplied.
const IN_PLACE: &[(WgslFile, &[WgslFile])] = &[
    (SHARED_TILED, &[body!("shared/tiled_cooperative"), SHARED_HALF_SCALES]),
    (body!("attention"), &[body!("attention_cooperative"), SHARED_HALF_SCALES]),
];
const SHARED_HALF_SCALES: WgslFile = body!("shared/half_scales");
/// What they enable.
pub const COOPERATIVE_EXTENSIONS: WgslFile = body!("shared/cooperative_extensions");
const SHARED_TILES: WgslFile = body!("shared/tiles");
const SHARED_TILED_WEIGHTS: WgslFile = body!("shared/tiled_weights");
const SHARED_PRODUCT: WgslFile = body!("shared/product");
const SHARED_MATRIX: WgslFile = body!("shared/matrix");
const SHARED_PAGES: WgslFile = body!("shared/pages");
const SHARED_PANELS: WgslFile = body!("shared/panels");
/// Rows of matrices in tiles, whatever their columns are.
const MATMUL_TILED_ROWS: WgslFile = body!("matmul_tiled");
const SHARED_DYNAMIC: WgslFile = body!("shared/dynamic");
const SHARED_CONV: WgslFile = body!("shared/conv");
const SHARED_FILTER: WgslFile = body!("shared/filter");
const SHARED_DEPTHWISE: WgslFile = body!("shared/depthwise");
const SHARED_COORDINATES: WgslFile = body!("shared/coordinates");
/// The place of an output element in a window.
pub const SHARED_WINDOW: WgslFile = body!("shared/window");
/// The coordinates of a row.
pub const SHARED_ROWS: WgslFile = body!("shared/rows");
const SHARED_MOMENTS: WgslFile = body!("shared/moments");
const SHARED_NORMALIZED: WgslFile = body!("shared/normalized");
const SHARED_TWO_PASSES: WgslFile = body!("shared/two_passes");
const SHARED_TREE: WgslFile = body!("shared/tree");
const SHARED_REDUCTION: WgslFile = body!("shared/reduction");
const SHARED_ATTENTION: WgslFile = body!("shared/attention");
/// The parameters, the output and the operands of attention.
pub const SHARED_QKV: WgslFile = body!("shared/qkv");

const PRODUCT: &[&str] = &["out", "x"];
const ATTENTION: &[&str] = &["out", "q", "k", "v"];

const DEPTHWISE_FILES: &[WgslFile] = &[SHARED_DEPTHWISE, SHARED_FLOATS, SHARED_PAGES, SHARED_FILTER];

const MATMUL_TILED_FILES: &[WgslFile] = &[
    SHARED_TILED,
    SHARED_TILES,
    SHARED_TILED_WEIGHTS,
    SHARED_PRODUCT,
    SHARED_FLOATS,
    SHARED_MATRIX,
    SHARED_PAGES,
    SHARED_PANELS,
];
const MATMUL_WIDE_FILES: &[WgslFile] =
    &[SHARED_WIDE, SHARED_PRODUCT, SHARED_FLOATS, SHARED_MATRIX, SHARED_PAGES, SHARED_PANELS];
const CONV_TILED_FILES: &[WgslFile] =
    &[SHARED_TILED, SHARED_TILES, SHARED_TILED_WEIGHTS, SHARED_CONV, SHARED_FLOATS, SHARED_PAGES, SHARED_PANELS];
const MATMUL_SLICES_FILES: &[WgslFile] = &[SHARED_PRODUCT, SHARED_FLOATS, SHARED_MATRIX, SHARED_PAGES, SHARED_PANELS];
const REDUCTION_FILES: &[WgslFile] = &[SHARED_REDUCTION, SHARED_WORDS, SHARED_ROWS, SHARED_TREE];
const EXACT_REDUCTION_FILES: &[WgslFile] = &[SHARED_REDUCTION, SHARED_WORDS, SHARED_ROWS, SHARED_TREE, SHARED_MOMENTS];
const ATTENTION_FILES: &[WgslFile] = &[SHARED_ATTENTION, SHARED_QKV];
/// Two trees of 64 invocations, and of 256.
const TWO_TREES: &[(&str, u32)] = &[("TREES", 2)];
const TWO_LARGE_TREES: &[(&str, u32)] = &[("TREES", 2), ("INVOCATIONS", 256)];
/// Tiles of 64 x 64 and of 64 x 128 outputs.
const TILE_64: &[(&str, u32)] = &[("ROW_BLOCKS", 2), ("TILE_K", 16)];
const TILE_128: &[(&str, u32)] = &[("ROW_BLOCKS", 2), ("COLUMN_BLOCKS", 2), ("TILE_K", 16)];

const REUSABLE: OperatorClass = OperatorClass::Reusable;
const HIERARCHICAL: OperatorClass = OperatorClass::Hierarchical;

/// Products and convolutions: terms of a sum, and the loops over what an invocation writes.
/// Most steps of k in a texel, whatever the encoding.
const MAX_DEPTH: u64 = 8;

/// Rounds of a sum over k: of the loop over rows of a panel, and of those over the steps in them, which most take where they are two.
const fn steps(k: u64) -> u64 {
    once(k.div_ceil(2) * (1 + once(2)))
}
const MATMUL: Rounds = Rounds::of(&["k"], |p| steps(p[0]) + nest(&[8, 4, 4])).expressions(|_| 128);
const MATMUL_TILED: Rounds = Rounds::of(&["k"], |p| once(p[0].div_ceil(32)) + nest(&[4, 1, 4])).expressions(|_| 16);
const MATMUL_TILED_64: Rounds = Rounds::of(&["k"], |p| once(p[0].div_ceil(16)) + nest(&[8, 1, 4])).expressions(|_| 32);
const MATMUL_TILED_128: Rounds = Rounds::of(&["k"], |p| once(p[0].div_ceil(16)) + nest(&[8, 2, 4])).expressions(|_| 64);
const MATMUL_WIDE: Rounds = Rounds::of(&["k"], |p| steps(p[0]) + nest(&[16, 8, 4])).expressions(|_| 512);
const MATMUL_ROWS: Rounds =
    Rounds::of(&["k"], |p| once(p[0]) + once(MAX_DEPTH - 1) + nest(&[4, 4, 4])).expressions(|_| 64);
const MATMUL_VEC: Rounds =
    Rounds::of(&["k"], |p| once(p[0] / 4) + once(4 * MAX_DEPTH - 1) + nest(&[2, 1, 4])).expressions(|_| 8);
const MATMUL_SLICES: Rounds = Rounds::of(&["k"], |p| once(p[0].div_ceil(256)) + 4 * once(5)).expressions(|_| 4);
const MATMUL_SLICES_NARROW: Rounds = Rounds::of(&["k"], |p| once(p[0].div_ceil(1024)) + 4 * once(7)).expressions(|_| 4);
const MATMUL_DYN_TILED: Rounds = Rounds::of(&["k"], |p| once(p[0].div_ceil(16)) + nest(&[4, 1, 4])).expressions(|_| 16);
const MATMUL_DYN_WIDE: Rounds = Rounds::of(&["k"], |p| once(p[0]) + nest(&[4, 16, 4])).expressions(|_| 256);
const CONV: &[&str] = &["channels", "kernel_h", "kernel_w"];
const CONV_TILED: Rounds =
    Rounds::of(CONV, |p| once((p[0] * p[1] * p[2]).div_ceil(32)) + nest(&[4, 1, 4])).expressions(|_| 16);
const CONV_TILED_64: Rounds =
    Rounds::of(CONV, |p| once((p[0] * p[1] * p[2]).div_ceil(16)) + nest(&[8, 1, 4])).expressions(|_| 32);
const CONV_TILED_128: Rounds =
    Rounds::of(CONV, |p| once((p[0] * p[1] * p[2]).div_ceil(16)) + nest(&[8, 2, 4])).expressions(|_| 64);
const CONV_WIDE: Rounds = Rounds::of(CONV, |p| steps(p[0] * p[1] * p[2]) + nest(&[16, 8, 4])).expressions(|_| 512);
const CONV_DEPTHWISE: Rounds =
    Rounds::of(&["kernel_h", "kernel_w"], |p| once(p[0] * p[1]) + once(4)).expressions(|_| 4);
const CONV_DEPTHWISE_3X3: Rounds = Rounds::of(&[], |_| once(16)).expressions(|_| 16);

/// Attention: for every tile of keys the scores and the sums, then the loops over what an invocation writes; 16 scores a tile,
/// 32 of the wide kernels.
const HEADS: &[&str] = &["keys", "head_dim"];
const ATTENTION_64: Rounds =
    Rounds::of(HEADS, |p| staged_tiles(p, 1) + nest(&[2, 4, 4])).expressions(|p| 16 * p[0].div_ceil(32));
const ATTENTION_128: Rounds =
    Rounds::of(HEADS, |p| staged_tiles(p, 2) + nest(&[4, 4, 4])).expressions(|p| 16 * p[0].div_ceil(32));
const ATTENTION_WIDE: Rounds =
    Rounds::of(HEADS, |p| tiles(p, 8) + nest(&[16, 4, 4])).expressions(|p| 32 * p[0].div_ceil(8));
const ATTENTION_WIDE_128: Rounds =
    Rounds::of(HEADS, |p| tiles(p, 8) + nest(&[32, 4, 4])).expressions(|p| 32 * p[0].div_ceil(8));

/// Rounds over keys in tiles of `size`.
fn tiles(p: &[u64], size: u64) -> u64 {
    once(p[0].div_ceil(size) * (1 + once(p[1]) + once(size)))
}

/// Rounds over tiles of 32 keys: of 32 elements of the head, eight at once, then of 32 keys for every 64 elements.
fn staged_tiles(p: &[u64], passes: u64) -> u64 {
    once(p[0].div_ceil(32) * (1 + once(p[1].div_ceil(32) * (1 + once(4))) + passes * once(4)))
}

/// Lines of columns that lanes share.
const LINES: &[&str] = &["columns", "lanes"];
const SOFTMAX: Rounds = Rounds::of(LINES, |p| lines(p[0], p[1], 3));
const NORMALIZE: Rounds = Rounds::of(LINES, |p| lines(p[0], p[1], 3)).expressions(|p| p[0].div_ceil(p[1]));
/// Parts of a long row, each of which 256 invocations share.
const MOMENTS: Rounds = Rounds::of(&["part"], |p| lines(p[0], 256, 2) + tree(256));
const NORMALIZE_PARTS: Rounds =
    Rounds::of(&["part", "parts"], |p| 2 * once(p[1]) + once(p[0].div_ceil(256))).expressions(|p| p[0].div_ceil(256));
const ARG_REDUCE: Rounds = Rounds::of(&["first", "end", "lanes"], |p| lines(p[1] - p[0], p[2], 1) + tree(p[2]));
const REDUCE: Rounds = Rounds::of(LINES, |p| lines(p[0], p[1], 1) + tree(p[1]));

const POOL: Rounds =
    Rounds::of(&["tap_first.x", "tap_first.y", "tap_first.z", "tap_end.x", "tap_end.y", "tap_end.z"], window);
/// The largest element, then the powers of all, each a product; and the root.
const POOL_NORM: Rounds = Rounds::of(&["power", "taps.x", "taps.y", "taps.z"], |p| {
    let taps = p[1] * p[2] * p[3];
    once(taps) + taps * (1 + once(p[0])) + 1 + nest(&[2, p[0]])
});
const FOLD: Rounds =
    Rounds::of(&["tap_first.x", "tap_first.y", "tap_first.z", "tap_end.x", "tap_end.y", "tap_end.z"], window);
const RESIZE: Rounds = Rounds::of(
    &["tap_first.x", "tap_first.y", "tap_first.z", "tap_first.w", "tap_end.x", "tap_end.y", "tap_end.z", "tap_end.w"],
    window,
);

/// Rounds over the taps between two, along as many axes as each has.
fn window(p: &[u64]) -> u64 {
    let (first, end) = p.split_at(p.len() / 2);
    let sizes: Vec<u64> = first.iter().zip(end).rev().map(|(first, end)| end - first).collect();
    nest(&sizes)
}

const SCATTER: Rounds = Rounds::of(&["updates"], |p| once(p[0]));

/// An operator with a kernel of its own.
pub trait OwnKernel {
    /// Its kernel.
    const KERNEL: KernelRow;
}

/// The kernels of all such operators.
macro_rules! own_rows {
    ($($name:ident,)*) => {
        const fn own_row(kind: KernelOpKind) -> &'static KernelRow {
            match kind {
                $(KernelOpKind::$name => const { &<crate::graph::kernel_op::$name as OwnKernel>::KERNEL },)*
            }
        }
    };
}
for_each_kernel_op!(own_rows);

/// The enum of kernels, their list and their rows from one table.
macro_rules! kernels {
    ($($kernel:ident => $row:expr,)*) => {
        /// A kernel body.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each name is that of its file, whose header documents it")]
        pub enum Kernel {
            $($kernel,)*
            /// The kernel of an operator with one of its own.
            Of(KernelOpKind),
        }

        const TABLE: &[Kernel] = &[$(Kernel::$kernel,)*];

        impl Kernel {
            /// Its row of the table.
            pub const fn row(self) -> &'static KernelRow {
                match self {
                    $(Self::$kernel => const { &$row },)*
                    Self::Of(kind) => own_row(kind),
                }
            }
        }
    };
}

kernels! {
    Matmul => row(body!("matmul"), Hook::Epilogue, PRODUCT, MATMUL)
        .constants(&[("ROWS", 4), ("PANELS", 1)])
        .weights()
        .shared(MATMUL_WIDE_FILES)
        .tile(64, 128)
        .class(REUSABLE),
    MatmulTiled => row(body!("matmul_tiled"), Hook::Epilogue, PRODUCT, MATMUL_TILED)
        .weights()
        .shared(MATMUL_TILED_FILES)
        .cooperative()
        .tile(32, 64)
        .class(REUSABLE),
    MatmulTiled64 => row(body!("matmul_tiled"), Hook::Epilogue, PRODUCT, MATMUL_TILED_64)
        .variant("matmul_tiled_64", TILE_64)
        .weights()
        .shared(MATMUL_TILED_FILES)
        .cooperative()
        .tile(64, 64)
        .class(REUSABLE),
    MatmulTiled128 => row(body!("matmul_tiled"), Hook::Epilogue, PRODUCT, MATMUL_TILED_128)
        .variant("matmul_tiled_128", TILE_128)
        .weights()
        .shared(MATMUL_TILED_FILES)
        .cooperative()
        .tile(64, 128)
        .class(REUSABLE),
    MatmulWide => row(body!("matmul"), Hook::Epilogue, PRODUCT, MATMUL_WIDE)
        .variant("matmul_wide", &[])
        .weights()
        .shared(MATMUL_WIDE_FILES)
        .tile(128, 256)
        .class(REUSABLE),
    MatmulRows => row(body!("matmul_rows"), Hook::Epilogue, PRODUCT, MATMUL_ROWS)
        .weights()
        .shared(&[SHARED_PRODUCT, SHARED_FLOATS, SHARED_MATRIX, SHARED_PAGES, SHARED_PANELS])
        .tile(4, 512)
        .class(REUSABLE),
    MatmulVec => row(body!("matmul_rows"), Hook::Epilogue, PRODUCT, MATMUL_VEC)
        .variant("matmul_vec", &[("ROWS", 1), ("UNITS", 2), ("FETCHES", 4)])
        .weights()
        .shared(&[SHARED_PRODUCT, SHARED_FLOATS, SHARED_MATRIX, SHARED_PAGES, SHARED_PANELS])
        .tile(1, 256)
        .class(REUSABLE),
    MatmulSlices => row(body!("matmul_slices"), Hook::Epilogue, PRODUCT, MATMUL_SLICES)
        .weights()
        .shared(MATMUL_SLICES_FILES)
        .tile(1, 32)
        .class(REUSABLE),
    MatmulSlices4 => row(body!("matmul_slices"), Hook::Epilogue, PRODUCT, MATMUL_SLICES)
        .variant("matmul_slices_4", &[("ROWS", 4)])
        .weights()
        .shared(MATMUL_SLICES_FILES)
        .tile(4, 32)
        .class(REUSABLE),
    MatmulSlicesNarrow => row(body!("matmul_slices"), Hook::Epilogue, PRODUCT, MATMUL_SLICES_NARROW)
        .variant("matmul_slices_narrow", &[("QUADS", 2)])
        .weights()
        .shared(MATMUL_SLICES_FILES)
        .tile(1, 8)
        .class(REUSABLE),
    MatmulSlices4Narrow => row(body!("matmul_slices"), Hook::Epilogue, PRODUCT, MATMUL_SLICES_NARROW)
        .variant("matmul_slices_4_narrow", &[("ROWS", 4), ("QUADS", 2)])
        .weights()
        .shared(MATMUL_SLICES_FILES)
        .tile(4, 8)
        .class(REUSABLE),
    MatmulDynTiled => row(body!("matmul_dyn_tiled"), Hook::Epilogue, &["out", "x", "c"], MATMUL_DYN_TILED)
        .constants(&[("TILE_K", 16)])
        .shared(&[SHARED_TILED, SHARED_TILES, MATMUL_TILED_ROWS, SHARED_DYNAMIC, SHARED_FLOATS, SHARED_MATRIX])
        .tile(32, 64)
        .class(REUSABLE),
    MatmulDynWide => row(body!("matmul_dyn_wide"), Hook::Epilogue, &["out", "x", "c"], MATMUL_DYN_WIDE)
        .shared(&[SHARED_DYNAMIC, SHARED_FLOATS, SHARED_MATRIX])
        .tile(128, 64)
        .class(REUSABLE),
    ConvTiled => row(body!("conv_tiled"), Hook::Epilogue, PRODUCT, CONV_TILED)
        .weights()
        .shared(CONV_TILED_FILES)
        .cooperative()
        .tile(32, 64)
        .class(REUSABLE),
    ConvTiled64 => row(body!("conv_tiled"), Hook::Epilogue, PRODUCT, CONV_TILED_64)
        .variant("conv_tiled_64", TILE_64)
        .weights()
        .shared(CONV_TILED_FILES)
        .cooperative()
        .tile(64, 64)
        .class(REUSABLE),
    ConvTiled128 => row(body!("conv_tiled"), Hook::Epilogue, PRODUCT, CONV_TILED_128)
        .variant("conv_tiled_128", TILE_128)
        .weights()
        .shared(CONV_TILED_FILES)
        .cooperative()
        .tile(64, 128)
        .class(REUSABLE),
    ConvWide => row(body!("conv_wide"), Hook::Epilogue, PRODUCT, CONV_WIDE)
        .weights()
        .shared(&[SHARED_WIDE, SHARED_CONV, SHARED_FLOATS, SHARED_PAGES, SHARED_PANELS])
        .tile(128, 256)
        .class(REUSABLE),
    ConvDepthwise => row(body!("conv_depthwise"), Hook::Epilogue, PRODUCT, CONV_DEPTHWISE)
        .weights()
        .shared(DEPTHWISE_FILES)
        .tile_named("TILE_M", 128)
        .class(REUSABLE),
    ConvDepthwise3x3 => row(body!("conv_depthwise_3x3"), Hook::Epilogue, PRODUCT, CONV_DEPTHWISE_3X3)
        .weights()
        .shared(DEPTHWISE_FILES)
        .tile_named("INVOCATIONS", 64)
        .class(REUSABLE),
    Attention => row(body!("attention"), Hook::ScoreMask, ATTENTION, ATTENTION_64)
        .shared(ATTENTION_FILES)
        .cooperative()
        .tile_named("TILE_ROWS", 64)
        .class(HIERARCHICAL),
    Attention128 => row(body!("attention"), Hook::ScoreMask, ATTENTION, ATTENTION_128)
        .variant("attention_128", &[("HEAD", 128)])
        .shared(ATTENTION_FILES)
        .cooperative()
        .tile_named("TILE_ROWS", 64)
        .class(HIERARCHICAL),
    AttentionWide => row(body!("attention_wide"), Hook::ScoreMask, ATTENTION, ATTENTION_WIDE)
        .shared(ATTENTION_FILES)
        .tile_named("TILE_ROWS", 32)
        .class(HIERARCHICAL),
    AttentionWide128 => row(body!("attention_wide"), Hook::ScoreMask, ATTENTION, ATTENTION_WIDE_128)
        .variant("attention_wide_128", &[("HEAD", 128)])
        .shared(ATTENTION_FILES)
        .tile_named("TILE_ROWS", 32)
        .class(HIERARCHICAL),
    Pointwise => row(body!("pointwise"), Hook::Pointwise, &["out"], Rounds::NONE).shared(&[SHARED_EACH, SHARED_COORDINATES]),
    Softmax => row(body!("softmax"), Hook::None, PRODUCT, SOFTMAX)
        .constants(TWO_TREES)
        .shared(&[SHARED_FLOATS, SHARED_ROWS, SHARED_TREE])
        .functions()
        .class(HIERARCHICAL),
    Normalize => row(body!("normalize"), Hook::Epilogue, PRODUCT, NORMALIZE)
        .constants(TWO_TREES)
        .shared(&[SHARED_FLOATS, SHARED_ROWS, SHARED_MOMENTS, SHARED_TWO_PASSES, SHARED_TREE, SHARED_NORMALIZED])
        .class(HIERARCHICAL),
    Moments => row(body!("moments"), Hook::None, PRODUCT, MOMENTS)
        .constants(TWO_LARGE_TREES)
        .shared(&[SHARED_FLOATS, SHARED_ROWS, SHARED_MOMENTS, SHARED_TWO_PASSES, SHARED_TREE])
        .class(HIERARCHICAL),
    NormalizeParts => row(body!("normalize_parts"), Hook::Epilogue, &["out", "x", "moments"], NORMALIZE_PARTS)
        .shared(&[SHARED_FLOATS, SHARED_ROWS, SHARED_MOMENTS, SHARED_NORMALIZED])
        .class(HIERARCHICAL),
    Reduce => row(body!("reduce"), Hook::None, PRODUCT, REDUCE).shared(REDUCTION_FILES).class(HIERARCHICAL),
    ReduceExact => row(body!("reduce_exact"), Hook::None, PRODUCT, REDUCE).shared(EXACT_REDUCTION_FILES).class(HIERARCHICAL),
    ArgReduce => row(body!("arg_reduce"), Hook::None, PRODUCT, ARG_REDUCE).shared(&[SHARED_WORDS, SHARED_ROWS, SHARED_TREE]).class(HIERARCHICAL),
    Gather => row(body!("gather"), Hook::None, &["out", "x", "indices"], Rounds::NONE).shared(&[SHARED_WORDS, SHARED_EACH, SHARED_COORDINATES]),
    Copy => row(body!("copy"), Hook::None, PRODUCT, Rounds::NONE).shared(&[SHARED_WORDS, SHARED_EACH, SHARED_COORDINATES]),
    Pad => row(body!("pad"), Hook::None, PRODUCT, Rounds::NONE).shared(&[SHARED_WORDS, SHARED_EACH, SHARED_COORDINATES]),
    Resize => row(body!("resize"), Hook::None, &["out", "x", "table"], RESIZE).shared(&[SHARED_WORDS, SHARED_EACH]),
    Pool => row(body!("pool"), Hook::None, PRODUCT, POOL).shared(&[SHARED_WORDS, SHARED_EACH, SHARED_WINDOW]),
    PoolNorm => row(body!("pool_norm"), Hook::None, PRODUCT, POOL_NORM).shared(&[SHARED_FLOATS, SHARED_EACH, SHARED_WINDOW]),
    Fold => row(body!("fold"), Hook::None, PRODUCT, FOLD).shared(&[SHARED_FLOATS, SHARED_EACH, SHARED_WINDOW]),
    Scatter => row(body!("scatter"), Hook::None, &["out", "rows", "updates"], SCATTER).shared(&[SHARED_EACH]),
    Unpack => row(body!("unpack"), Hook::None, &["out"], Rounds::NONE)
        .weights()
        .shared(&[SHARED_EACH, SHARED_PAGES]),
}

/// Rounds of the attention kernel that takes most, for so many keys and heads of this size; `score_rounds` are those of what
/// is done with a score.
pub fn attention_rounds(keys: usize, head: usize, score_rounds: u64) -> u64 {
    let kernels = [Kernel::Attention, Kernel::Attention128, Kernel::AttentionWide, Kernel::AttentionWide128];
    let params = params::Params::new().set("keys", keys).set("head_dim", head);
    kernels.iter().map(|kernel| kernel.rounds(&params, score_rounds)).max().unwrap_or(0)
}

/// Element-wise functions.
pub const FUNCTIONS: WgslFile = body!("functions");

/// How kernels decode the weights of an encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoding {
    /// `DEPTH`, the steps of k in a texel, `decoded(raw, step)`, and what scales are.
    pub files: Vec<WgslFile>,
    /// Constants of these files, and their values for the encoding.
    pub constants: Vec<(&'static str, u32)>,
}

/// How kernels decode the weights of an encoding.
pub fn decoding(encoding: Encoding) -> Decoding {
    let plain = |file| Decoding { files: vec![file, body!("shared/weights_plain")], constants: Vec::new() };
    match encoding {
        Encoding::F32 => plain(body!("shared/weights_f32")),
        Encoding::F16 => plain(body!("shared/weights_f16")),
        Encoding::Block(block) => Decoding {
            files: vec![body!("shared/weights_block")],
            constants: vec![
                ("BITS", block.bits.bits()),
                ("BLOCK_SHIFT", block.length.log2()),
                ("SCALE_BITS", 8 * block.scale.bytes()),
                ("OFFSET", block.offset.bytes()),
                ("ROUNDED", u32::from(block.rounded)),
            ],
        },
    }
}

impl Kernel {
    /// Every kernel.
    pub fn all() -> impl Iterator<Item = Self> {
        let operators = KernelOpKind::ALL.iter().map(|kind| Self::Of(*kind));
        TABLE.iter().copied().chain(operators)
    }
    /// Its name.
    pub const fn name(self) -> &'static str {
        self.row().name
    }
    /// What its body calls that linking supplies.
    pub const fn hook(self) -> Hook {
        self.row().hook
    }
    /// Rounds that the loops of one invocation of a call take in all, at most; `expression_rounds` are those of the linked
    /// expression.
    pub fn rounds(self, params: &params::Params, expression_rounds: u64) -> u64 {
        self.row().rounds.count(params, expression_rounds)
    }
    /// Its body and the files that it is linked with, and its constants, where matrices of halves are multiplied.
    pub fn cooperative_parts(self) -> (Vec<WgslFile>, Vec<(&'static str, u32)>) {
        let row = self.row();
        let in_place = |file: &WgslFile| {
            let found = IN_PLACE.iter().find(|(replaced, _)| replaced == file);
            found.map_or_else(|| vec![*file], |(_, files)| files.to_vec())
        };
        let constants = row.constants.iter().filter(|(name, _)| *name != "TILE_K").copied();
        (std::iter::once(&row.body).chain(row.shared).flat_map(in_place).collect(), constants.collect())
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
    use super::{FUNCTIONS, Kernel};
    use flashmem_plan_format::plan::Encoding;
    use std::collections::BTreeSet;

    #[test]
    fn every_kernel_file_is_registered() {
        let below = |folder: &str| -> Vec<String> {
            let files = std::fs::read_dir([env!("CARGO_MANIFEST_DIR"), "/kernels", folder].concat()).expect("a folder");
            let names = files.map(|file| file.expect("readable").file_name().to_string_lossy().into_owned());
            let stems = names.filter_map(|name| name.strip_suffix(".wgsl").map(str::to_owned));
            stems
                .map(|stem| format!("{}{stem}", folder.strip_prefix('/').map_or(String::new(), |f| format!("{f}/"))))
                .collect()
        };
        let found: BTreeSet<String> = [below(""), below("/shared")].concat().into_iter().collect();
        let rows = Kernel::all().map(Kernel::row);
        let files = rows.flat_map(|row| [row.body].into_iter().chain(row.shared.iter().copied())).chain([FUNCTIONS]);
        let files = files.chain([super::COOPERATIVE_EXTENSIONS]);
        let files = files.chain(super::IN_PLACE.iter().flat_map(|(_, files)| *files).copied());
        let files = files.chain(Encoding::NAMED.into_iter().flat_map(|encoding| super::decoding(encoding).files));
        let known: BTreeSet<String> = files.map(|file| file.name.to_owned()).collect();
        assert_eq!(found, known);
        let names: BTreeSet<&str> = Kernel::all().map(Kernel::name).collect();
        assert_eq!(names.len(), Kernel::all().count(), "every kernel has a name of its own");
    }
}
