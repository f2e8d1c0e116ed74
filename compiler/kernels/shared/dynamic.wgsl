// dynamic.wgsl -- parameters and buffers of the products of two activations. Linked behind the body.
//
// Formula:   out[b, m, n] = epilogue(sum_k x[b, m, k] * c[b, k, n])
// Accuracy:  that of product.wgsl.
// Bindings:  2 out, 3 x, 4 c: f32, any strides (stride 0 broadcasts); offsets and strides in elements.
// Dispatch:  (ceil(m / TILE_M), ceil(n_count / TILE_N), batches), n0 = 0, and one part of k terms (tiled.wgsl); batch z = (b0 * batch_1 + b1) * batch_2 + b2.
// Expects:   epilogue, with batch = z.

struct Params {
    m: u32, n_count: u32, k: u32, n0: u32,
    batch_1: u32, batch_2: u32, x_offset: u32, x_stride_m: u32,
    x_stride_k: u32, c_offset: u32, c_stride_k: u32, c_stride_n: u32,
    out_offset: u32, out_stride_m: u32, out_stride_n: u32, parts: u32,
    part: u32, pad_0: u32, pad_1: u32, pad_2: u32,
    x_batch_stride: vec4<u32>,
    c_batch_stride: vec4<u32>,
    out_batch_stride: vec4<u32>,
    operands: array<vec4<u32>, 4>,
}

@group(0) @binding(4) var<storage, read_write> c: array<f32>;
