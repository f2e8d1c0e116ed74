//! The registry of ONNX operators: what a model may contain.
//!
//! Import refuses an ONNX operator that has no row in [`OPERATORS`], or whose row says why not; rows name the rewrite that an
//! operator needs and whether tract requires the values of its operands. `flashmem-compile ops` and docs/operators.md are printed
//! from it. What tract's typed operators become is the table in `translate/`. Operators with a kernel of their own have a row
//! like others; the list of them is in `graph/kernel_op/`. It deliberately holds no behaviour.

use super::rewrite;
use super::rewrite::outcome::Rewrite;
use crate::graph::kernel_op::{
    Cumulative, DeformableColumns, Det, GridSample, Inverse, LinearAttention, MaxRoiPool, RoiAlign, TensorScatter,
};

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
    /// The versions of the operator that are implemented, each by the version of the domain that brought it.
    pub versions: &'static [u32],
    /// The attributes that are implemented, in any version: names between spaces, `NAME=VALUE|VALUE` where only some values are.
    pub attributes: &'static str,
    /// Inputs and outputs that ONNX lets be left out and that are implemented: names between spaces.
    pub optional: &'static str,
    /// How far it is supported.
    pub support: Support,
    /// Turns a node into others before tract sees it.
    pub(crate) rewrite: Option<Rewrite>,
    /// Whether tract requires the values of float operands when it types the model.
    pub(crate) needs_values: bool,
}

const fn op(name: &'static str, versions: &'static [u32]) -> Operator {
    Operator {
        domain: "",
        name,
        versions,
        attributes: "",
        optional: "",
        support: Support::Full,
        rewrite: None,
        needs_values: false,
    }
}

/// An operator of ONNX Runtime's own domain.
const fn contributed(name: &'static str) -> Operator {
    Operator { domain: "com.microsoft", ..op(name, &[1]) }
}

impl Operator {
    /// The name, after the domain where that is not the standard one.
    pub fn full_name(&self) -> String {
        if self.domain.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.domain, self.name) }
    }

    /// The values of an attribute that are implemented: `None` for no value, an empty list for every one.
    pub fn values_of(&self, attribute: &str) -> Option<Vec<&'static str>> {
        let row = self.attributes.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, "")));
        let (_, values) = row.into_iter().find(|(name, _)| *name == attribute)?;
        Some(values.split('|').filter(|value| !value.is_empty()).collect())
    }

    /// Whether an input or output that may be left out is implemented.
    pub fn takes(&self, operand: &str) -> bool {
        self.optional.split_whitespace().any(|name| name == operand)
    }

    const fn attributes(self, attributes: &'static str) -> Self {
        Self { attributes, ..self }
    }
    const fn optional(self, optional: &'static str) -> Self {
        Self { optional, ..self }
    }
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
const RECURRENT: &str = "at most 64 steps; activations without parameters; not input_forget";

/// Every operator that is known, by domain and name.
pub const OPERATORS: &[Operator] = &[
    op("Abs", &[1, 6, 13]),
    op("Acos", &[7, 22]),
    op("Acosh", &[9, 22]),
    op("Add", &[1, 6, 7, 13, 14]).attributes("axis broadcast").rewritten(rewrite::broadcast),
    op("AffineGrid", &[20]).attributes("align_corners").limited("constant size").rewritten(rewrite::affine_grid),
    op("And", &[1, 7]).attributes("axis broadcast").rewritten(rewrite::broadcast),
    op("ArgMax", &[1, 11, 12, 13]).attributes("axis keepdims select_last_index"),
    op("ArgMin", &[1, 11, 12, 13]).attributes("axis keepdims select_last_index"),
    op("Asin", &[7, 22]),
    op("Asinh", &[9, 22]),
    op("Atan", &[7, 22]),
    op("Atanh", &[9, 22]),
    op("Attention", &[23, 24, 25])
        .attributes(
            "is_causal kv_num_heads left_window_size q_num_heads qk_matmul_output_mode \
            right_window_size scale softcap softmax_precision=1|10|11|16",
        )
        .optional("attn_mask past_key past_value nonpad_kv_seqlen present_key present_value qk_matmul_output")
        .rewritten(rewrite::attention),
    op("AveragePool", &[1, 7, 10, 11, 19, 22])
        .attributes("auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides")
        .limited("float tensors"),
    op("BatchNormalization", &[1, 6, 7, 9, 14, 15])
        .attributes("epsilon is_test momentum spatial training_mode")
        .optional("running_mean running_var")
        .limited("training by the attribute, not by the number of outputs")
        .rewritten(rewrite::batch_normalization)
        .values(),
    op("Bernoulli", &[15, 22]).refused(RANDOM),
    op("BitCast", &[26])
        .attributes("to")
        .limited("to integers of 8 bits, from such and from booleans")
        .rewritten(rewrite::bit_cast),
    op("BitShift", &[11, 28]).attributes("direction=LEFT|RIGHT"),
    op("BitwiseAnd", &[18]),
    op("BitwiseNot", &[18]),
    op("BitwiseOr", &[18]),
    op("BitwiseXor", &[18]),
    op("BlackmanWindow", &[17]).attributes("output_datatype periodic"),
    op("Cast", &[1, 6, 9, 13, 19, 21, 23, 24, 25, 28])
        .attributes("round_mode saturate to")
        .limited("between float, float16, int32, int64, int8, uint8 and bool")
        .rewritten(rewrite::cast),
    op("CastLike", &[15, 19, 21, 23, 24, 25])
        .attributes("round_mode saturate")
        .limited("between float, float16, int32, int64, int8, uint8 and bool"),
    op("CausalConvWithState", &[27])
        .attributes("activation=none|silu|swish")
        .optional("bias past_state")
        .rewritten(rewrite::causal_convolution),
    op("Ceil", &[1, 6, 13]),
    op("Celu", &[12, 28]).attributes("alpha").rewritten(rewrite::celu),
    op("CenterCropPad", &[18]).attributes("axes").limited("constant shape").rewritten(rewrite::center_crop_pad),
    op("Clip", &[1, 6, 11, 12, 13]).attributes("max min").optional("min max").rewritten(rewrite::clip).values(),
    op("Col2Im", &[18])
        .attributes("dilations pads strides")
        .limited("constant shapes, up to three axes")
        .rewritten(rewrite::col2im),
    op("Compress", &[9, 11, 28]).attributes("axis").limited("constant condition").rewritten(rewrite::compress),
    op("Concat", &[1, 4, 11, 13]).attributes("axis").rewritten(rewrite::concat),
    op("ConcatFromSequence", &[11]).refused(SEQUENCES),
    op("Constant", &[1, 9, 11, 12, 13, 19, 21, 23, 24, 25])
        .attributes("value value_float value_floats value_int value_ints"),
    op("ConstantOfShape", &[9, 20, 21, 23, 24, 25])
        .attributes("value")
        .limited("constant shape")
        .rewritten(rewrite::constant_of_shape),
    op("Conv", &[1, 11, 22])
        .attributes("auto_pad dilations group kernel_shape pads strides")
        .optional("B")
        .limited("float tensors"),
    op("ConvInteger", &[10])
        .attributes("auto_pad dilations group kernel_shape pads strides")
        .optional("x_zero_point w_zero_point"),
    op("ConvTranspose", &[1, 11, 22])
        .attributes("auto_pad dilations group kernel_shape output_padding output_shape pads strides")
        .optional("B")
        .limited("float tensors"),
    op("Cos", &[7, 22]),
    op("Cosh", &[9, 22]),
    op("CumProd", &[26]).attributes("exclusive reverse").limited("constant axis").rewritten(Cumulative::from_onnx),
    op("CumSum", &[11, 14])
        .attributes("exclusive reverse")
        .limited("constant axis")
        .rewritten(rewrite::cumulative_sum)
        .values(),
    op("DFT", &[17, 20])
        .attributes("axis inverse onesided")
        .optional("dft_length axis")
        .limited("constant length and axis, at most 2048 elements long"),
    op("DeformConv", &[19, 22])
        .attributes("dilations group kernel_shape offset_group pads strides")
        .optional("B mask")
        .limited("two spatial axes")
        .rewritten(DeformableColumns::from_onnx),
    op("DepthToSpace", &[1, 11, 13, 28]).attributes("blocksize mode=DCR|CRD"),
    op("DequantizeLinear", &[10, 13, 19, 21, 23, 24, 25, 28])
        .attributes("axis block_size output_dtype=0|1|10")
        .optional("x_zero_point")
        .limited("in float16, and other than 8 and 16 bits: constants; no bfloat16; blocks of computed data: in inputs")
        .rewritten(rewrite::dequantize)
        .values(),
    op("Det", &[11, 22]).limited("at most 48 rows").rewritten(Det::from_onnx),
    op("Div", &[1, 6, 7, 13, 14]).attributes("axis broadcast").rewritten(rewrite::broadcast),
    op("Dropout", &[1, 6, 7, 10, 12, 13, 22])
        .attributes("is_test ratio seed")
        .optional("mask ratio training_mode")
        .limited("inference mode: the input itself")
        .values(),
    op("DynamicQuantizeLinear", &[11]).rewritten(rewrite::quantize_dynamically),
    op("Einsum", &[12, 28]).attributes("equation").rewritten(rewrite::einsum),
    op("Elu", &[1, 6, 22]).attributes("alpha"),
    op("Equal", &[1, 7, 11, 13, 19]).attributes("axis broadcast").rewritten(rewrite::equal),
    op("Erf", &[9, 13]),
    op("Exp", &[1, 6, 13]),
    op("Expand", &[8, 13]).limited("constant shape"),
    op("EyeLike", &[9, 22]).attributes("dtype k"),
    op("Flatten", &[1, 9, 11, 13, 21, 23, 24, 25]).attributes("axis"),
    op("Floor", &[1, 6, 13]),
    op("GRU", &[1, 3, 7, 14, 22])
        .attributes(
            "activations clip direction=forward|reverse|bidirectional|foward hidden_size layout \
            linear_before_reset output_sequence",
        )
        .optional("B sequence_lens initial_h Y Y_h")
        .limited(RECURRENT)
        .rewritten(rewrite::recurrent),
    op("Gather", &[1, 11, 13])
        .attributes("axis")
        .limited("above 16 MiB, rows of a constant, at indices that follow from inputs by casts, integer operators and lists of integers"),
    op("GatherElements", &[11, 13]).attributes("axis"),
    op("GatherND", &[11, 12, 13]).attributes("batch_dims").rewritten(rewrite::gather_nd),
    op("Gelu", &[20]).attributes("approximate=none|tanh"),
    op("Gemm", &[1, 6, 7, 9, 11, 13])
        .attributes("alpha beta broadcast transA transB")
        .optional("C")
        .rewritten(rewrite::gemm),
    op("GlobalAveragePool", &[1, 22]),
    op("GlobalLpPool", &[1, 2, 22]).attributes("p").rewritten(rewrite::global_lp_pool),
    op("GlobalMaxPool", &[1, 22]).rewritten(rewrite::global_max_pool),
    op("Greater", &[1, 7, 9, 13]).attributes("axis broadcast").rewritten(rewrite::comparison),
    op("GreaterOrEqual", &[12, 16]).rewritten(rewrite::wide_comparison),
    op("GridSample", &[16, 20, 22])
        .attributes(
            "align_corners mode=bilinear|nearest|bicubic|linear|cubic \
            padding_mode=zeros|border|reflection",
        )
        .limited("two or three spatial axes; cubic of two only")
        .rewritten(GridSample::from_onnx),
    op("GroupNormalization", &[18, 21]).attributes("epsilon num_groups stash_type=1|10|16"),
    op("HammingWindow", &[17]).attributes("output_datatype periodic"),
    op("HannWindow", &[17]).attributes("output_datatype periodic"),
    op("HardSigmoid", &[1, 6, 22]).attributes("alpha beta"),
    op("HardSwish", &[14, 22]),
    op("Hardmax", &[1, 11, 13]).attributes("axis"),
    op("Identity", &[1, 13, 14, 16, 19, 21, 23, 24, 25]),
    op("If", &[1, 11, 13, 16, 19, 21, 23, 24, 25])
        .attributes("else_branch then_branch")
        .limited("a condition that is known when compiling, or branches of equal shapes, which are then both computed"),
    op("ImageDecoder", &[20]).refused("images are decoded before inference"),
    op("InstanceNormalization", &[1, 6, 22]).attributes("epsilon"),
    op("IsInf", &[10, 20]).attributes("detect_negative detect_positive"),
    op("IsNaN", &[9, 13, 20]),
    op("LRN", &[1, 13]).attributes("alpha beta bias size").rewritten(rewrite::local_response),
    op("LSTM", &[1, 7, 14, 22])
        .attributes("activations clip direction=forward|reverse|bidirectional hidden_size layout output_sequence")
        .optional("B sequence_lens initial_h initial_c P Y Y_h Y_c")
        .limited(RECURRENT)
        .rewritten(rewrite::recurrent),
    op("LayerNormalization", &[17]).attributes("axis epsilon stash_type=1|10|16").optional("B Mean InvStdDev"),
    op("LeakyRelu", &[1, 6, 16]).attributes("alpha"),
    op("Less", &[1, 7, 9, 13]).attributes("axis broadcast").rewritten(rewrite::comparison),
    op("LessOrEqual", &[12, 16]).rewritten(rewrite::wide_comparison),
    op("LinearAttention", &[27])
        .attributes("chunk_size kv_num_heads q_num_heads scale update_rule=linear|gated|delta|gated_delta")
        .optional("past_state decay beta")
        .rewritten(LinearAttention::from_onnx),
    op("Log", &[1, 6, 13]),
    op("LogSoftmax", &[1, 11, 13]).attributes("axis").rewritten(rewrite::log_softmax),
    op("Loop", &[1, 11, 13, 16, 19, 21, 23, 24, 25]).refused(LOOPS),
    op("LpNormalization", &[1, 22]).attributes("axis p").rewritten(rewrite::lp_normalization),
    op("LpPool", &[2, 11, 18, 22])
        .attributes("auto_pad ceil_mode=0 dilations kernel_shape p pads strides")
        .limited("without ceil_mode")
        .rewritten(rewrite::lp_pool),
    op("MatMul", &[1, 9, 13]),
    op("MatMulInteger", &[10]).optional("a_zero_point b_zero_point"),
    op("Max", &[1, 6, 8, 12, 13]),
    op("MaxPool", &[1, 8, 10, 11, 12, 22])
        .attributes("auto_pad ceil_mode dilations kernel_shape pads storage_order strides")
        .optional("Indices")
        .limited("float, int8 and uint8 tensors"),
    op("MaxRoiPool", &[1, 22])
        .attributes("pooled_shape spatial_scale")
        .limited("at most 64 bins an axis")
        .rewritten(MaxRoiPool::from_onnx),
    op("MaxUnpool", &[9, 11, 22])
        .attributes("kernel_shape pads strides")
        .optional("output_shape")
        .limited("an output shape of as many elements as kernel, strides and pads give")
        .rewritten(rewrite::max_unpool),
    op("Mean", &[1, 6, 8, 13]),
    op("MeanVarianceNormalization", &[9, 13]).attributes("axes").rewritten(rewrite::mean_variance),
    op("MelWeightMatrix", &[17]).attributes("output_datatype"),
    op("Min", &[1, 6, 8, 12, 13]),
    op("Mish", &[18, 22]).rewritten(rewrite::mish),
    op("Mod", &[10, 13, 28]).attributes("fmod"),
    op("Mul", &[1, 6, 7, 13, 14]).attributes("axis broadcast").rewritten(rewrite::broadcast),
    op("Multinomial", &[7, 22]).refused(RANDOM),
    op("Neg", &[1, 6, 13]),
    op("NegativeLogLikelihoodLoss", &[12, 13, 22])
        .attributes("ignore_index reduction=none|sum|mean")
        .optional("weight")
        .rewritten(rewrite::negative_log_likelihood),
    op("NonMaxSuppression", &[10, 11]).refused(DATA_DEPENDENT),
    op("NonZero", &[9, 13]).refused(DATA_DEPENDENT),
    op("Not", &[1]),
    op("OneHot", &[9, 11, 28]).attributes("axis").limited("constant depth").rewritten(rewrite::one_hot).values(),
    op("Optional", &[15, 28]).refused(SEQUENCES),
    op("OptionalGetElement", &[15, 18, 28]).refused(SEQUENCES),
    op("OptionalHasElement", &[15, 18, 28]).refused(SEQUENCES),
    op("Or", &[1, 7]).attributes("axis broadcast").rewritten(rewrite::broadcast),
    op("PRelu", &[1, 6, 7, 9, 16]).rewritten(rewrite::prelu),
    op("Pad", &[1, 2, 11, 13, 18, 19, 21, 23, 24, 25])
        .attributes("mode=constant|reflect|edge|wrap paddings pads value")
        .optional("constant_value axes")
        .limited("constant pads")
        .rewritten(rewrite::pad)
        .values(),
    op("Pow", &[1, 7, 12, 13, 15]).attributes("axis broadcast").rewritten(rewrite::pow),
    op("QLinearConv", &[10]).attributes("auto_pad dilations group kernel_shape pads strides").optional("B").values(),
    op("QLinearMatMul", &[10, 21]).rewritten(rewrite::quantized_product).values(),
    op("QuantizeLinear", &[10, 13, 19, 21, 23, 24, 25, 28])
        .attributes("axis block_size output_dtype precision=0|1 saturate")
        .optional("y_zero_point")
        .limited("to int8 and uint8, not float16; constants that are dequantized again: any integers; blocks of computed data: in inputs")
        .rewritten(rewrite::quantize)
        .values(),
    op("RMSNormalization", &[23]).attributes("axis epsilon stash_type=1|10|16"),
    op("RNN", &[1, 7, 14, 22])
        .attributes("activations clip direction=forward|reverse|bidirectional hidden_size layout output_sequence")
        .optional("B sequence_lens initial_h Y Y_h")
        .limited(RECURRENT)
        .rewritten(rewrite::recurrent),
    op("RandomNormal", &[1, 22]).refused(RANDOM),
    op("RandomNormalLike", &[1, 22]).refused(RANDOM),
    op("RandomUniform", &[1, 22]).refused(RANDOM),
    op("RandomUniformLike", &[1, 22]).refused(RANDOM),
    op("Range", &[11, 27]).attributes("stash_type").limited("constant operands").values(),
    op("Reciprocal", &[1, 6, 13]),
    op("ReduceL1", &[1, 11, 13, 18])
        .attributes("axes keepdims noop_with_empty_axes")
        .optional("axes")
        .limited("constant axes")
        .rewritten(rewrite::reduction),
    op("ReduceL2", &[1, 11, 13, 18])
        .attributes("axes keepdims noop_with_empty_axes")
        .optional("axes")
        .limited("constant axes")
        .rewritten(rewrite::l2_norm),
    op("ReduceLogSum", &[1, 11, 13, 18, 28])
        .attributes("axes keepdims noop_with_empty_axes")
        .optional("axes")
        .limited("constant axes")
        .rewritten(rewrite::reduction),
    op("ReduceLogSumExp", &[1, 11, 13, 18, 28])
        .attributes("axes keepdims noop_with_empty_axes")
        .optional("axes")
        .limited("constant axes")
        .rewritten(rewrite::log_sum_exp),
    op("ReduceMax", &[1, 11, 12, 13, 18, 20])
        .attributes("axes keepdims noop_with_empty_axes")
        .optional("axes")
        .limited("constant axes")
        .rewritten(rewrite::reduction),
    op("ReduceMean", &[1, 11, 13, 18])
        .attributes("axes keepdims noop_with_empty_axes")
        .optional("axes")
        .limited("constant axes")
        .rewritten(rewrite::reduction),
    op("ReduceMin", &[1, 11, 12, 13, 18, 20])
        .attributes("axes keepdims noop_with_empty_axes")
        .optional("axes")
        .limited("constant axes")
        .rewritten(rewrite::reduction),
    op("ReduceProd", &[1, 11, 13, 18])
        .attributes("axes keepdims noop_with_empty_axes")
        .optional("axes")
        .limited("constant axes")
        .rewritten(rewrite::reduction),
    op("ReduceSum", &[1, 11, 13])
        .attributes("axes keepdims noop_with_empty_axes")
        .optional("axes")
        .limited("constant axes")
        .rewritten(rewrite::reduction),
    op("ReduceSumSquare", &[1, 11, 13, 18])
        .attributes("axes keepdims noop_with_empty_axes")
        .optional("axes")
        .limited("constant axes")
        .rewritten(rewrite::reduction),
    op("RegexFullMatch", &[20]).refused(STRINGS),
    op("Relu", &[1, 6, 13, 14]),
    op("Reshape", &[1, 5, 13, 14, 19, 21, 23, 24, 25])
        .attributes("allowzero shape")
        .limited("constant shape")
        .rewritten(rewrite::reshape),
    op("Resize", &[10, 11, 13, 18, 19])
        .attributes(
            "antialias axes \
            coordinate_transformation_mode=half_pixel|half_pixel_symmetric|pytorch_half_pixel|\
            align_corners|asymmetric|tf_half_pixel_for_nn|tf_crop_and_resize cubic_coeff_a \
            exclude_outside extrapolation_value \
            keep_aspect_ratio_policy=stretch|not_larger|not_smaller mode=nearest|linear|cubic \
            nearest_mode=round_prefer_floor|round_prefer_ceil|floor|ceil",
        )
        .optional("sizes roi scales")
        .limited(
            "constant sizes or scales; no align_corners with sizes that are not whole; before 11 nearest or linear",
        )
        .rewritten(rewrite::resize)
        .values(),
    op("ReverseSequence", &[10, 28]).attributes("batch_axis time_axis").rewritten(rewrite::reverse_sequence),
    op("RoiAlign", &[10, 16, 22])
        .attributes(
            "coordinate_transformation_mode=half_pixel|output_half_pixel mode=avg|max output_height \
            output_width sampling_ratio spatial_scale",
        )
        .limited("at most 4096 samples a bin and axis")
        .rewritten(RoiAlign::from_onnx),
    op("RotaryEmbedding", &[23]).attributes("interleaved num_heads rotary_embedding_dim").optional("position_ids"),
    op("Round", &[11, 22]),
    op("STFT", &[17])
        .attributes("onesided")
        .optional("window frame_length")
        .limited("constant step and length, at most 2048 elements a frame")
        .rewritten(rewrite::short_time_fourier),
    op("Scan", &[9, 11, 16, 19, 21, 23, 24, 25])
        .attributes(
            "body num_scan_inputs scan_input_axes scan_input_directions scan_output_axes \
            scan_output_directions",
        )
        .limited("at most 64 steps"),
    op("Scatter", &[9, 11]).attributes("axis"),
    op("ScatterElements", &[11, 13, 16, 18]).attributes("axis reduction=none|add|mul|max|min"),
    op("ScatterND", &[11, 13, 16, 18]).attributes("reduction=none|add|mul|max|min").rewritten(rewrite::scatter_nd),
    op("Selu", &[1, 6, 22]).attributes("alpha gamma").rewritten(rewrite::selu),
    op("SequenceAt", &[11]).refused(SEQUENCES),
    op("SequenceConstruct", &[11]).refused(SEQUENCES),
    op("SequenceEmpty", &[11]).refused(SEQUENCES),
    op("SequenceErase", &[11]).refused(SEQUENCES),
    op("SequenceInsert", &[11]).refused(SEQUENCES),
    op("SequenceLength", &[11]).refused(SEQUENCES),
    op("SequenceMap", &[17]).refused(SEQUENCES),
    op("Shape", &[1, 13, 15, 19, 21, 23, 24, 25]).attributes("end start"),
    op("Shrink", &[9]).attributes("bias lambd"),
    op("Sigmoid", &[1, 6, 13]),
    op("Sign", &[9, 13]),
    // ONNX Runtime has it in the standard domain.
    op("SimplifiedLayerNormalization", &[1]).attributes("axis epsilon stash_type=1|10|16"),
    op("Sin", &[7, 22]),
    op("Sinh", &[9, 22]),
    op("Size", &[1, 13, 19, 21, 23, 24, 25]),
    op("Slice", &[1, 10, 11, 13])
        .attributes("axes ends starts")
        .optional("axes steps")
        .limited("constant starts, ends, axes and steps; no empty result"),
    op("Softmax", &[1, 11, 13]).attributes("axis"),
    op("SoftmaxCrossEntropyLoss", &[12, 13])
        .attributes("ignore_index reduction=none|sum|mean")
        .optional("weights log_prob")
        .rewritten(rewrite::softmax_cross_entropy),
    op("Softplus", &[1, 22]).rewritten(rewrite::softplus),
    op("Softsign", &[1, 22]),
    op("SpaceToDepth", &[1, 13, 28]).attributes("blocksize mode=DCR|CRD").rewritten(rewrite::space_to_depth),
    op("Split", &[1, 2, 11, 13, 18])
        .attributes("axis num_outputs split")
        .optional("split")
        .limited("constant sizes")
        .rewritten(rewrite::split),
    op("SplitToSequence", &[11, 24]).refused(SEQUENCES),
    op("Sqrt", &[1, 6, 13]),
    op("Squeeze", &[1, 11, 13, 21, 23, 24, 25]).attributes("axes").optional("axes").limited("constant axes"),
    op("StringConcat", &[20]).refused(STRINGS),
    op("StringNormalizer", &[10]).refused(STRINGS),
    op("StringSplit", &[20]).refused(STRINGS),
    op("Sub", &[1, 6, 7, 13, 14]).attributes("axis broadcast").rewritten(rewrite::broadcast),
    op("Sum", &[1, 6, 8, 13]),
    op("SwiGLU", &[28]).attributes("alpha").rewritten(rewrite::swiglu),
    op("Swish", &[24]).attributes("alpha").rewritten(rewrite::swish),
    op("Tan", &[7, 22]),
    op("Tanh", &[1, 6, 13]),
    op("TensorScatter", &[24])
        .attributes("axis mode=linear|circular")
        .optional("write_indices")
        .rewritten(TensorScatter::from_onnx),
    op("TfIdfVectorizer", &[9]).refused(STRINGS),
    op("ThresholdedRelu", &[10, 22]).attributes("alpha"),
    op("Tile", &[1, 6, 13]).limited("constant repeats; version 1: at most 64").rewritten(rewrite::tile),
    op("TopK", &[1, 10, 11, 24]).attributes("axis k largest sorted").limited("constant k").rewritten(rewrite::top_k),
    op("Transpose", &[1, 13, 21, 23, 24, 25]).attributes("perm"),
    op("Trilu", &[14]).attributes("upper").optional("k").rewritten(rewrite::triangle),
    op("Unique", &[11, 28]).refused(DATA_DEPENDENT),
    op("Unsqueeze", &[1, 11, 13, 21, 23, 24, 25]).attributes("axes").limited("constant axes"),
    op("Upsample", &[1, 7, 9, 10])
        .attributes("height_scale mode=nearest|linear|bilinear|trilinear scales width_scale")
        .limited("constant scales, nearest or linear")
        .rewritten(rewrite::upsample)
        .values(),
    op("Where", &[9, 16]),
    op("Xor", &[1, 7]).attributes("axis broadcast").rewritten(rewrite::broadcast),
    contributed("BiasGelu").rewritten(rewrite::gelu),
    contributed("DecoderMaskedMultiHeadAttention")
        .attributes("mask_filter_value num_heads output_qk=0 past_present_share_buffer scale")
        .optional(
            "key value mask_index attention_bias past_key past_value past_sequence_length bias present_key present_value",
        )
        .limited("heads of a multiple of 4 elements, at most 256; a past shares its buffer with the present")
        .rewritten(rewrite::decoder_masked_attention),
    contributed("DynamicQuantizeMatMul")
        .optional("b_zero_point bias")
        .rewritten(rewrite::dynamically_quantized_product)
        .values(),
    contributed("EmbedLayerNormalization")
        .attributes("epsilon mask_index_type")
        .optional("segment_ids segment_embedding mask position_ids mask_index embedding_sum")
        .limited("the mask counted by lines")
        .rewritten(rewrite::embed_layer_normalization),
    contributed("FastGelu").optional("bias"),
    contributed("FusedConv")
        .attributes("activation activation_params auto_pad dilations group kernel_shape pads strides")
        .optional("B Z")
        .limited("Relu, Tanh, Sigmoid, LeakyRelu, HardSigmoid and Clip as activations")
        .rewritten(rewrite::fused_conv),
    contributed("FusedGemm")
        .attributes("activation activation_alpha activation_beta activation_gamma alpha beta transA transB")
        .optional("C")
        .limited("Elu, HardSigmoid, LeakyRelu, Relu, Selu, Sigmoid, Softplus, Softsign, Tanh and ThresholdedRelu as activations")
        .rewritten(rewrite::fused_gemm),
    contributed("FusedMatMul")
        .attributes("alpha transA transB transBatchA transBatchB")
        .rewritten(rewrite::fused_matmul),
    contributed("GatherBlockQuantized")
        .attributes("bits=2|4|8 block_size gather_axis quantize_axis")
        .optional("zero_points")
        .limited("constant integers; an index outside the table is an error")
        .values(),
    contributed("Gelu").rewritten(rewrite::gelu),
    contributed("GroupQueryAttention")
        .attributes(
            "causal do_rotary k_norm_epsilon k_quant_type=NONE kv_num_heads local_window_size num_heads q_norm_epsilon \
            qk_norm_epsilon rotary_interleaved scale smooth_softmax softcap v_quant_type=NONE",
        )
        .optional(
            "key value past_key past_value cos_cache sin_cache position_ids attention_bias head_sink q_norm_weight k_norm_weight \
            present_key present_value",
        )
        .limited("heads of a multiple of 4 elements, at most 256")
        .rewritten(rewrite::group_query_attention),
    contributed("Inverse").limited("at most 32 rows").rewritten(Inverse::from_onnx),
    contributed("LinearAttention")
        .attributes("chunk_size kv_num_heads q_num_heads scale state_window=0 update_rule=linear|gated|delta|gated_delta")
        .optional("past_state decay beta")
        .rewritten(LinearAttention::from_onnx),
    contributed("MatMulIntegerToFloat")
        .optional("a_zero_point b_zero_point bias")
        .limited("one scale of A; scales of f32")
        .rewritten(rewrite::scaled_integer_product)
        .values(),
    // Sums are of f32, whatever precision the accuracy level allows.
    contributed("MatMulNBits")
        .attributes("K N accuracy_level bits=2|4|8 block_size")
        .optional("zero_points bias")
        .limited("a constant weight")
        .values(),
    contributed("MultiHeadAttention")
        .attributes("mask_filter_value num_heads scale unidirectional")
        .optional("key value bias key_padding_mask attention_bias past_key past_value present_key present_value")
        .rewritten(rewrite::multi_head_attention),
    contributed("QGemm")
        .attributes("transB")
        .optional("C y_scale y_zero_point")
        .limited("a constant weight and constant scales; without alpha and transA")
        .values(),
    contributed("QLinearAdd")
        .optional("A_zero_point B_zero_point C_zero_point")
        .limited("with a zero point of the result")
        .rewritten(rewrite::quantized_add)
        .values(),
    contributed("QLinearAveragePool")
        .attributes("auto_pad ceil_mode channels_last=0 count_include_pad kernel_shape pads strides")
        .optional("x_zero_point y_zero_point")
        .limited("channels first; with a zero point of the result")
        .rewritten(rewrite::quantized_of_one)
        .values(),
    contributed("QLinearConcat").attributes("axis").rewritten(rewrite::quantized_concat).values(),
    contributed("QLinearGlobalAveragePool")
        .attributes("channels_last=0")
        .limited("channels first")
        .rewritten(rewrite::quantized_of_one)
        .values(),
    contributed("QLinearLeakyRelu")
        .attributes("alpha")
        .optional("X_zero_point Y_zero_point")
        .limited("with a zero point of the result")
        .rewritten(rewrite::quantized_of_one)
        .values(),
    contributed("QLinearMul")
        .optional("A_zero_point B_zero_point C_zero_point")
        .limited("with a zero point of the result")
        .rewritten(rewrite::quantized_mul)
        .values(),
    contributed("QLinearSigmoid")
        .optional("X_zero_point Y_zero_point")
        .limited("with a zero point of the result")
        .rewritten(rewrite::quantized_of_one)
        .values(),
    contributed("QLinearSoftmax")
        .attributes("axis opset")
        .optional("x_zero_point")
        .limited("of opset 13 and later")
        .rewritten(rewrite::quantized_softmax)
        .values(),
    contributed("QuickGelu").attributes("alpha"),
    contributed("RotaryEmbedding")
        .attributes("interleaved is_packed_batching=0 num_heads rotary_embedding_dim scale=1")
        .rewritten(rewrite::rotary_embedding),
    contributed("SkipLayerNormalization")
        .attributes("epsilon")
        .optional("beta bias input_skip_bias_sum")
        .limited("without mean and deviation as outputs")
        .rewritten(rewrite::skip_normalization),
    contributed("SkipSimplifiedLayerNormalization")
        .attributes("epsilon")
        .optional("bias input_skip_bias_sum")
        .limited("without mean and deviation as outputs")
        .rewritten(rewrite::skip_normalization),
];

/// The row of an operator.
pub fn find(domain: &str, name: &str) -> Option<&'static Operator> {
    let domain = if domain == "ai.onnx" { "" } else { domain };
    OPERATORS.iter().find(|operator| operator.domain == domain && operator.name == name)
}
