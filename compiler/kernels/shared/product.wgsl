// product.wgsl -- parameters and buffers of the products with streamed weights. Linked behind the body.
//
// Formula:   out[b, m, n0 + n] = epilogue(sum_k x[b, m, k] * W[k, n0 + n])      0 <= m < params.m, 0 <= n < n_count
// Accuracy:  within (k + 1) * 2^-24 of the sum of magnitudes, in all products, convolutions included.
// Bindings:  1 weights: panels of PANEL output columns. A panel is its head, scales if there are any, and rows of PANEL_QUADS
//                       texels: texel j of row i holds W[i * DEPTH .. + DEPTH - 1, panel * 32 + 4 j .. + 3]; what lies past N or
//                       the last k is zero. weight_base is the texel of this dispatch's first panel; panels and heads are
//                       multiples of PANEL_QUADS texels, so a row never straddles a page row.
//            2 out:     f32, any strides; 3 x: f32, any strides (stride 0 allowed). Offsets and strides in elements.
// Dispatch:  (ceil(m / TILE_M), ceil(n_count / TILE_N), batches * parts); batch z = (b0 * batch_1 + b1) * batch_2 + b2.
// Parts:     the tiled kernels cut a sum into `parts` of `part` terms; workgroup z * parts + i writes the i-th sum
//            i * out_batch_stride.w elements further on, and what reads them adds them up. 1 elsewhere.
// Scale:     x_scale is a power of two that brings x into the range of halves, or 0; for shared/tiled_cooperative.wgsl.
// Expects:   epilogue, with batch = z and n absolute.

struct Params {
    m: u32, n_count: u32, k: u32, weight_base: u32,
    n0: u32, page_shift: u32, batch_1: u32, batch_2: u32,
    x_offset: u32, x_stride_m: u32, x_stride_k: u32, out_offset: u32,
    out_stride_m: u32, out_stride_n: u32, parts: u32, part: u32,
    x_batch_stride: vec3<u32>, x_scale: f32,
    out_batch_stride: vec4<u32>,
    operands: array<vec4<u32>, 4>,
    slots: array<vec4<u32>, 16>,
}

// The first texel of the panels that workgroup z reads.
fn weights_of(z: u32) -> u32 { return params.weight_base; }
