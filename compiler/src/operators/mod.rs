//! The registry of operators: the one place where an operator is added.
//!
//! It holds two lists. [`OPERATORS`] says what a model may contain: import refuses an ONNX operator that has no row, or whose
//! row says why not; rows name the rewrite that an operator needs and whether tract wants the values of its operands.
//! `flashmem-compile ops` and docs/operators.md are printed from it. What tract's typed operators become is the table in
//! `import/translate/`. The list of `kernel_operators!` names the operators of our graph that have a file here, with all
//! that the stages know about them, and a kernel of their own (`form.rs` is what such a file says). It deliberately holds no
//! behaviour.

mod cumulative;
mod deform_conv;
mod det;
mod form;
mod grid_sample;
mod inverse;
mod max_roi_pool;
mod roi_align;
mod tensor_scatter;
#[cfg(test)]
mod tests;
mod top_k;

pub use form::{KernelOperator, Operands};

use crate::import::rewrite::{self, Rewrite};

form::kernel_operators! {
    cumulative::Cumulative,
    deform_conv::DeformableColumns,
    det::Det,
    grid_sample::GridSample,
    inverse::Inverse,
    max_roi_pool::MaxRoiPool,
    roi_align::RoiAlign,
    tensor_scatter::TensorScatter,
    top_k::TopK,
}

/// How far an operator is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// All forms, for the element types of bundles.
    Full,
    /// Within the limits that it says.
    Limited(&'static str),
    /// Not at all, for the reason that it says.
    Refused(&'static str),
}

impl Support {
    /// One word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "yes",
            Self::Limited(_) => "limited",
            Self::Refused(_) => "refused",
        }
    }

    /// Limits or reason; empty for full support.
    pub const fn note(self) -> &'static str {
        match self {
            Self::Full => "",
            Self::Limited(note) | Self::Refused(note) => note,
        }
    }
}

/// An operator.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    /// Domain: empty for the standard one.
    pub domain: &'static str,
    /// Name.
    pub name: &'static str,
    /// Versions of the domain in which it was introduced or changed.
    pub versions: &'static [u32],
    /// How far it is supported.
    pub support: Support,
    /// Turns a node into others before tract sees it.
    pub(crate) rewrite: Option<Rewrite>,
    /// Whether tract wants the values of float operands when it types the model.
    pub(crate) needs_values: bool,
}

const fn op(name: &'static str, versions: &'static [u32]) -> Operator {
    Operator { domain: "", name, versions, support: Support::Full, rewrite: None, needs_values: false }
}

/// An operator of ONNX Runtime's own domain.
const fn contributed(name: &'static str) -> Operator {
    Operator { domain: "com.microsoft", ..op(name, &[1]) }
}

impl Operator {
    const fn limited(self, limits: &'static str) -> Self {
        Self { support: Support::Limited(limits), ..self }
    }
    const fn refused(self, reason: &'static str) -> Self {
        Self { support: Support::Refused(reason), ..self }
    }
    const fn rewritten(self, rewrite: Rewrite) -> Self {
        Self { rewrite: Some(rewrite), ..self }
    }
    const fn values(self) -> Self {
        Self { needs_values: true, ..self }
    }
}

const SEQUENCES: &str = "sequences and optional values have no tensor form";
const STRINGS: &str = "strings have no numeric form";
const RANDOM: &str = "its values are random";
const DATA_DEPENDENT: &str = "the shape of its result depends on data";
const LOOPS: &str = "loops are not unrolled";
const RECURRENT: &str = "at most 64 steps; standard activations; not reverse alone; no clip or sequence lengths";

/// Every operator that is known, by domain and name.
pub const OPERATORS: &[Operator] = &[
    op("Abs", &[1, 6, 13]),
    op("Acos", &[7, 22]),
    op("Acosh", &[9, 22]),
    op("Add", &[1, 6, 7, 13, 14]),
    op("AffineGrid", &[20]).limited("constant size").rewritten(rewrite::affine_grid),
    op("And", &[1, 7]),
    op("ArgMax", &[1, 11, 12, 13]),
    op("ArgMin", &[1, 11, 12, 13]),
    op("Asin", &[7, 22]),
    op("Asinh", &[9, 22]),
    op("Atan", &[7, 22]),
    op("Atanh", &[9, 22]),
    op("Attention", &[23, 24, 25]).rewritten(rewrite::attention),
    op("AveragePool", &[1, 7, 10, 11, 19, 22]).limited("float tensors"),
    op("BatchNormalization", &[1, 6, 7, 9, 14, 15])
        .limited("training by the attribute, not by the number of outputs")
        .rewritten(rewrite::batch_normalization)
        .values(),
    op("Bernoulli", &[15, 22]).refused(RANDOM),
    op("BitShift", &[11]),
    op("BitwiseAnd", &[18]),
    op("BitwiseNot", &[18]),
    op("BitwiseOr", &[18]),
    op("BitwiseXor", &[18]),
    op("BlackmanWindow", &[17]),
    op("Cast", &[1, 6, 9, 13, 19, 21, 23, 24]).limited("between float, float16, int32, int64, int8, uint8 and bool"),
    op("CastLike", &[15, 19, 21, 23, 24]).limited("between float, float16, int32, int64, int8, uint8 and bool"),
    op("Ceil", &[1, 6, 13]),
    op("Celu", &[12]).rewritten(rewrite::celu),
    op("CenterCropPad", &[18]).limited("constant shape").rewritten(rewrite::center_crop_pad),
    op("Clip", &[1, 6, 11, 12, 13]).values(),
    op("Col2Im", &[18]).limited("constant shapes, up to three axes").rewritten(rewrite::col2im),
    op("Compress", &[9, 11]).limited("constant condition").rewritten(rewrite::compress),
    op("Concat", &[1, 4, 11, 13]),
    op("ConcatFromSequence", &[11]).refused(SEQUENCES),
    op("Constant", &[1, 9, 11, 12, 13, 19, 21, 23, 24]),
    op("ConstantOfShape", &[9, 20, 21, 23, 24]).limited("constant shape").rewritten(rewrite::constant_of_shape),
    op("Conv", &[1, 11, 22]).limited("float tensors"),
    op("ConvInteger", &[10]),
    op("ConvTranspose", &[1, 11, 22]).limited("float tensors"),
    op("Cos", &[7, 22]),
    op("Cosh", &[9, 22]),
    op("CumSum", &[11, 14]).limited("constant axis").values(),
    op("DFT", &[17, 20]).limited("constant length and axis, at most 2048 elements long"),
    op("DeformConv", &[19, 22]).limited("two spatial axes").rewritten(DeformableColumns::from_onnx),
    op("DepthToSpace", &[1, 11, 13]),
    op("DequantizeLinear", &[10, 13, 19, 21, 23, 24])
        .limited("not blocked; not float16")
        .rewritten(rewrite::dequantize)
        .values(),
    op("Det", &[11, 22]).limited("at most 48 rows").rewritten(Det::from_onnx),
    op("Div", &[1, 6, 7, 13, 14]),
    op("Dropout", &[1, 6, 7, 10, 12, 13, 22]).limited("inference mode: the input itself").values(),
    op("DynamicQuantizeLinear", &[11]).rewritten(rewrite::quantize_dynamically),
    op("Einsum", &[12]),
    op("Elu", &[1, 6, 22]),
    op("Equal", &[1, 7, 11, 13, 19]).rewritten(rewrite::equal),
    op("Erf", &[9, 13]),
    op("Exp", &[1, 6, 13]),
    op("Expand", &[8, 13]).limited("constant shape"),
    op("EyeLike", &[9, 22]),
    op("Flatten", &[1, 9, 11, 13, 21, 23, 24]),
    op("Floor", &[1, 6, 13]),
    op("GRU", &[1, 3, 7, 14, 22]).limited(RECURRENT).rewritten(rewrite::recurrent),
    op("Gather", &[1, 11, 13]),
    op("GatherElements", &[11, 13]),
    op("GatherND", &[11, 12, 13]),
    op("Gelu", &[20]),
    op("Gemm", &[1, 6, 7, 9, 11, 13]).rewritten(rewrite::gemm),
    op("GlobalAveragePool", &[1, 22]),
    op("GlobalLpPool", &[1, 2, 22]).rewritten(rewrite::global_lp_pool),
    op("GlobalMaxPool", &[1, 22]),
    op("Greater", &[1, 7, 9, 13]),
    op("GreaterOrEqual", &[12, 16]),
    op("GridSample", &[16, 20, 22])
        .limited("two or three spatial axes; cubic of two only")
        .rewritten(GridSample::from_onnx),
    op("GroupNormalization", &[18, 21]),
    op("HammingWindow", &[17]),
    op("HannWindow", &[17]),
    op("HardSigmoid", &[1, 6, 22]),
    op("HardSwish", &[14, 22]),
    op("Hardmax", &[1, 11, 13]),
    op("Identity", &[1, 13, 14, 16, 19, 21, 23, 24]),
    op("If", &[1, 11, 13, 16, 19, 21, 23, 24])
        .limited("a condition that is known when compiling, or branches of equal shapes, which are then both computed"),
    op("ImageDecoder", &[20]).refused("images are decoded before inference"),
    op("InstanceNormalization", &[1, 6, 22]),
    op("IsInf", &[10, 20]),
    op("IsNaN", &[9, 13, 20]),
    op("LRN", &[1, 13]).rewritten(rewrite::local_response),
    op("LSTM", &[1, 7, 14, 22]).limited(RECURRENT).rewritten(rewrite::recurrent),
    op("LayerNormalization", &[17]),
    op("LeakyRelu", &[1, 6, 16]),
    op("Less", &[1, 7, 9, 13]),
    op("LessOrEqual", &[12, 16]),
    op("Log", &[1, 6, 13]),
    op("LogSoftmax", &[1, 11, 13]),
    op("Loop", &[1, 11, 13, 16, 19, 21, 23, 24]).refused(LOOPS),
    op("LpNormalization", &[1, 22]).rewritten(rewrite::lp_normalization),
    op("LpPool", &[1, 2, 11, 18, 22]).limited("without ceil_mode").rewritten(rewrite::lp_pool),
    op("MatMul", &[1, 9, 13]),
    op("MatMulInteger", &[10]),
    op("Max", &[1, 6, 8, 12, 13]),
    op("MaxPool", &[1, 8, 10, 11, 12, 22]).limited("float, int8 and uint8 tensors"),
    op("MaxRoiPool", &[1, 22]).limited("at most 64 bins an axis").rewritten(MaxRoiPool::from_onnx),
    op("MaxUnpool", &[9, 11, 22])
        .limited("an output shape of as many elements as kernel, strides and pads give")
        .rewritten(rewrite::max_unpool),
    op("Mean", &[1, 6, 8, 13]),
    op("MeanVarianceNormalization", &[9, 13]),
    op("MelWeightMatrix", &[17]),
    op("Min", &[1, 6, 8, 12, 13]),
    op("Mish", &[18, 22]).rewritten(rewrite::mish),
    op("Mod", &[10, 13]),
    op("Mul", &[1, 6, 7, 13, 14]),
    op("Multinomial", &[7, 22]).refused(RANDOM),
    op("Neg", &[1, 6, 13]),
    op("NegativeLogLikelihoodLoss", &[12, 13, 22]).rewritten(rewrite::negative_log_likelihood),
    op("NonMaxSuppression", &[10, 11]).refused(DATA_DEPENDENT),
    op("NonZero", &[9, 13]).refused(DATA_DEPENDENT),
    op("Not", &[1]),
    op("OneHot", &[9, 11]).limited("constant depth").rewritten(rewrite::one_hot).values(),
    op("Optional", &[15]).refused(SEQUENCES),
    op("OptionalGetElement", &[15, 18]).refused(SEQUENCES),
    op("OptionalHasElement", &[15, 18]).refused(SEQUENCES),
    op("Or", &[1, 7]),
    op("PRelu", &[1, 6, 7, 9, 16]),
    op("Pad", &[1, 2, 11, 13, 18, 19, 21, 23, 24])
        .limited("constant pads; constant, reflect and edge modes")
        .rewritten(rewrite::pad)
        .values(),
    op("Pow", &[1, 7, 12, 13, 15]).rewritten(rewrite::pow),
    op("QLinearConv", &[10]).values(),
    op("QLinearMatMul", &[10, 21]).values(),
    op("QuantizeLinear", &[10, 13, 19, 21, 23, 24])
        .limited("to int8 and uint8, not blocked; not float16")
        .rewritten(rewrite::quantize)
        .values(),
    op("RMSNormalization", &[23]),
    op("RNN", &[1, 7, 14, 22]).limited(RECURRENT).rewritten(rewrite::recurrent),
    op("RandomNormal", &[1, 22]).refused(RANDOM),
    op("RandomNormalLike", &[1, 22]).refused(RANDOM),
    op("RandomUniform", &[1, 22]).refused(RANDOM),
    op("RandomUniformLike", &[1, 22]).refused(RANDOM),
    op("Range", &[11]).limited("constant operands").values(),
    op("Reciprocal", &[1, 6, 13]),
    op("ReduceL1", &[1, 11, 13, 18]).limited("constant axes"),
    op("ReduceL2", &[1, 11, 13, 18]).limited("constant axes"),
    op("ReduceLogSum", &[1, 11, 13, 18]).limited("constant axes"),
    op("ReduceLogSumExp", &[1, 11, 13, 18]).limited("constant axes"),
    op("ReduceMax", &[1, 11, 12, 13, 18, 20]).limited("constant axes"),
    op("ReduceMean", &[1, 11, 13, 18]).limited("constant axes"),
    op("ReduceMin", &[1, 11, 12, 13, 18, 20]).limited("constant axes"),
    op("ReduceProd", &[1, 11, 13, 18]).limited("constant axes"),
    op("ReduceSum", &[1, 11, 13]).limited("constant axes"),
    op("ReduceSumSquare", &[1, 11, 13, 18]).limited("constant axes"),
    op("RegexFullMatch", &[20]).refused(STRINGS),
    op("Relu", &[1, 6, 13, 14]),
    op("Reshape", &[1, 5, 13, 14, 19, 21, 23, 24]).limited("constant shape"),
    op("Resize", &[10, 11, 13, 18, 19])
        .limited(
            "constant sizes or scales; no align_corners with sizes that are not whole; before 11 whole scales, nearest",
        )
        .rewritten(rewrite::resize)
        .values(),
    op("ReverseSequence", &[10]).rewritten(rewrite::reverse_sequence),
    op("RoiAlign", &[10, 16, 22]).limited("at most 4096 samples a bin and axis").rewritten(RoiAlign::from_onnx),
    op("RotaryEmbedding", &[23]),
    op("Round", &[11, 22]),
    op("STFT", &[17])
        .limited("constant step and length, at most 2048 elements a frame")
        .rewritten(rewrite::short_time_fourier),
    op("Scan", &[8, 9, 11, 16, 19, 21, 23, 24]).limited("at most 64 steps"),
    op("Scatter", &[9, 11]),
    op("ScatterElements", &[11, 13, 16, 18]),
    op("ScatterND", &[11, 13, 16, 18]),
    op("Selu", &[1, 6, 22]).rewritten(rewrite::selu),
    op("SequenceAt", &[11]).refused(SEQUENCES),
    op("SequenceConstruct", &[11]).refused(SEQUENCES),
    op("SequenceEmpty", &[11]).refused(SEQUENCES),
    op("SequenceErase", &[11]).refused(SEQUENCES),
    op("SequenceInsert", &[11]).refused(SEQUENCES),
    op("SequenceLength", &[11]).refused(SEQUENCES),
    op("SequenceMap", &[17]).refused(SEQUENCES),
    op("Shape", &[1, 13, 15, 19, 21, 23, 24]),
    op("Shrink", &[9]),
    op("Sigmoid", &[1, 6, 13]),
    op("Sign", &[9, 13]),
    // ONNX Runtime has it in the standard domain.
    op("SimplifiedLayerNormalization", &[1]),
    op("Sin", &[7, 22]),
    op("Sinh", &[9, 22]),
    op("Size", &[1, 13, 19, 21, 23, 24]),
    op("Slice", &[1, 10, 11, 13]).limited("constant starts, ends, axes and steps; no empty result"),
    op("Softmax", &[1, 11, 13]),
    op("SoftmaxCrossEntropyLoss", &[12, 13]).rewritten(rewrite::softmax_cross_entropy),
    op("Softplus", &[1, 22]).rewritten(rewrite::softplus),
    op("Softsign", &[1, 22]),
    op("SpaceToDepth", &[1, 13]),
    op("Split", &[1, 2, 11, 13, 18]).limited("constant sizes"),
    op("SplitToSequence", &[11, 24]).refused(SEQUENCES),
    op("Sqrt", &[1, 6, 13]),
    op("Squeeze", &[1, 11, 13, 21, 23, 24]).limited("constant axes"),
    op("StringConcat", &[20]).refused(STRINGS),
    op("StringNormalizer", &[10]).refused(STRINGS),
    op("StringSplit", &[20]).refused(STRINGS),
    op("Sub", &[1, 6, 7, 13, 14]),
    op("Sum", &[1, 6, 8, 13]),
    op("Swish", &[24]).rewritten(rewrite::swish),
    op("Tan", &[7, 22]),
    op("Tanh", &[1, 6, 13]),
    op("TensorScatter", &[24]).rewritten(TensorScatter::from_onnx),
    op("TfIdfVectorizer", &[9]).refused(STRINGS),
    op("ThresholdedRelu", &[10, 22]),
    op("Tile", &[1, 6, 13]).limited("constant repeats"),
    op("TopK", &[1, 10, 11, 24]).limited("constant k"),
    op("Transpose", &[1, 13, 21, 23, 24]),
    op("Trilu", &[14]),
    op("Unique", &[11]).refused(DATA_DEPENDENT),
    op("Unsqueeze", &[1, 11, 13, 21, 23, 24]).limited("constant axes"),
    op("Upsample", &[1, 7, 9, 10]).limited("constant whole scales, nearest").rewritten(rewrite::upsample).values(),
    op("Where", &[9, 16]),
    op("Xor", &[1, 7]),
    contributed("BiasGelu").rewritten(rewrite::gelu),
    contributed("EmbedLayerNormalization")
        .limited("the mask counted by lines")
        .rewritten(rewrite::embed_layer_normalization),
    contributed("FastGelu"),
    contributed("FusedConv")
        .limited("Relu, Tanh, Sigmoid, LeakyRelu, HardSigmoid and Clip as activations")
        .rewritten(rewrite::fused_conv),
    contributed("FusedMatMul").limited("without transBatchA and transBatchB").rewritten(rewrite::fused_matmul),
    contributed("Gelu").rewritten(rewrite::gelu),
    contributed("Inverse").limited("at most 32 rows").rewritten(Inverse::from_onnx),
    contributed("QuickGelu"),
    contributed("SkipLayerNormalization")
        .limited("without mean and deviation as outputs")
        .rewritten(rewrite::skip_normalization),
    contributed("SkipSimplifiedLayerNormalization")
        .limited("without mean and deviation as outputs")
        .rewritten(rewrite::skip_normalization),
];

/// The row of an operator.
pub fn find(domain: &str, name: &str) -> Option<&'static Operator> {
    let domain = if domain == "ai.onnx" { "" } else { domain };
    OPERATORS.iter().find(|operator| operator.domain == domain && operator.name == name)
}
