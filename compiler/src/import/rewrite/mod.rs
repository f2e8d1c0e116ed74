//! ONNX nodes that become other ONNX nodes before tract sees them.
//!
//! A rewrite says an operator in terms of others: because tract does not know it, knows only a form of it, or reads it
//! differently from the specification. The registry (`operators/`) names a rewrite for an operator; what it gives is
//! rewritten again until nothing changes. Both the import and the reference run see the rewritten model. It deliberately
//! changes no meaning: what cannot be said in other operators is refused, with a reason.

mod attention;
mod between;
mod contributed;
mod elementwise;
mod language;
mod legacy;
mod linear;
mod losses;
mod movement;
mod multi_head;
mod norms;
pub mod outcome;
mod pooling;
mod quantization;
mod recurrent;
mod reductions;
mod spectral;
pub mod steps;
mod unrolled;
mod wide;

pub use attention::attention;
pub use between::{quantized_add, quantized_concat, quantized_mul, quantized_of_one, quantized_softmax};
pub use contributed::{
    dynamically_quantized_product, embed_layer_normalization, fused_conv, fused_gemm, fused_matmul, gelu,
    scaled_integer_product,
};
pub use elementwise::{bit_cast, celu, einsum, equal, mish, pow, selu, softplus, swiglu, swish};
pub use language::{group_query_attention, rotary_embedding};
pub use legacy::{broadcast, cast, concat, prelu, reshape, tile, top_k};
pub use linear::gemm;
pub use losses::{negative_log_likelihood, softmax_cross_entropy};
pub use movement::{
    affine_grid, center_crop_pad, col2im, compress, constant_of_shape, cumulative_sum, gather_nd, one_hot, pad, resize,
    reverse_sequence, scatter_nd, space_to_depth, split, triangle, upsample,
};
pub use multi_head::{decoder_masked_attention, multi_head_attention};
pub use norms::{batch_normalization, local_response, skip_normalization};
pub use pooling::max_unpool;
pub use quantization::{dequantize, quantize, quantize_dynamically, quantized_product};
pub use recurrent::{causal_convolution, recurrent};
pub use reductions::{
    global_lp_pool, global_max_pool, l2_norm, log_softmax, log_sum_exp, lp_normalization, lp_pool, mean_variance,
    reduction,
};
pub use spectral::short_time_fourier;

pub use wide::{clip, comparison, wide_comparison};
