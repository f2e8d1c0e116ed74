// dynamic.wgsl -- parameters and buffers of the products of two activations. Linked behind the body.
//
// Formula:   out[b, m, n] = epilogue(sum_k a[b, m, k] * c[b, k, n])
// Bindings:  2 out, 3 a, 4 c: f32, any strides (stride 0 broadcasts); offsets and strides in elements.
// Dispatch:  (ceil(m / TILE_M), ceil(n / TILE_N), batches), and one part of k terms (tiled.wgsl); batch z = (b0 * batch_1 + b1) * batch_2 + b2.
// Expects:   epilogue(value: f32, batch: u32, m: u32, n: u32) -> f32  (batch = z).

struct Params {
    m: u32, n: u32, k: u32, batch_1: u32,
    batch_2: u32, a_offset: u32, a_stride_m: u32, a_stride_k: u32,
    c_offset: u32, c_stride_k: u32, c_stride_n: u32, out_offset: u32,
    out_stride_m: u32, out_stride_n: u32, parts: u32, part: u32,
    a_batch_stride: vec4<u32>,
    c_batch_stride: vec4<u32>,
    out_batch_stride: vec4<u32>,
    operands: array<vec4<u32>, 4>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> a: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;
