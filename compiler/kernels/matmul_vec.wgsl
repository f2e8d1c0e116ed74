// matmul_vec.wgsl -- matrix product with streamed texture weights for few rows (M = 1: one row per invocation).
//
// Formula, bindings, parameters, packing and linked functions: exactly those of matmul.wgsl.
// Dispatch:  (ceil((m - m0) / TILE_M), ceil(n_count / TILE_N), batches).
//
// Lanes run along n: each owns 2 texels (8 columns, of 2 panels) and reads neighbouring texels of the same k, while x
// is uniform in the workgroup.

struct Params {
    m: u32, n_count: u32, k: u32, weight_base: u32,
    n0: u32, page_shift: u32, batch_1: u32, batch_2: u32,
    x_offset: u32, x_stride_m: u32, x_stride_k: u32, out_offset: u32,
    out_stride_m: u32, out_stride_n: u32, m0: u32, pad_0: u32,
    x_batch_stride: vec4<u32>,
    out_batch_stride: vec4<u32>,
    operands: array<vec4<u32>, 4>,
    slots: array<vec4<u32>, 16>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var weights: texture_2d_array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

const PANEL: u32 = 32u;
const TILE_M: u32 = 1u;
const TILE_N: u32 = 256u;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let b = vec3<u32>(group.z / (params.batch_1 * params.batch_2), (group.z / params.batch_2) % params.batch_1,
                      group.z % params.batch_2);
    let x_base = params.x_offset + dot(b, params.x_batch_stride.xyz);
    let out_base = params.out_offset + dot(b, params.out_batch_stride.xyz);
    let m = params.m0 + group.x * TILE_M;
    let last_panel = (params.n_count + PANEL - 1u) / PANEL - 1u;
    let panel = group.y * 8u + (local.x >> 3u);
    let j = local.x & 7u;
    let k_end = select(0u, params.k, panel <= last_panel);
    let k_end_unrolled = k_end & ~3u;
    var t0 = params.weight_base + min(panel + 0u, last_panel) * params.k * 8u + j;
    var t1 = params.weight_base + min(panel + 4u, last_panel) * params.k * 8u + j;
    var i0 = x_base + m * params.x_stride_m;

    var a0_0 = vec4<f32>();
    var a0_1 = vec4<f32>();

    var k = 0u;
    for (; k < k_end_unrolled; k += 4u) {
        let w00 = weight_texel(t0);
        let w01 = weight_texel(t1);
        let w10 = weight_texel(t0 + 8u);
        let w11 = weight_texel(t1 + 8u);
        let w20 = weight_texel(t0 + 16u);
        let w21 = weight_texel(t1 + 16u);
        let w30 = weight_texel(t0 + 24u);
        let w31 = weight_texel(t1 + 24u);
        t0 += 32u;
        t1 += 32u;
        let x00 = x[i0];
        a0_0 += x00 * w00;
        a0_1 += x00 * w01;
        let x10 = x[i0 + 1u * params.x_stride_k];
        a0_0 += x10 * w10;
        a0_1 += x10 * w11;
        let x20 = x[i0 + 2u * params.x_stride_k];
        a0_0 += x20 * w20;
        a0_1 += x20 * w21;
        let x30 = x[i0 + 3u * params.x_stride_k];
        a0_0 += x30 * w30;
        a0_1 += x30 * w31;
        i0 += 4u * params.x_stride_k;
    }
    for (; k < k_end; k += 1u) {
        let w0 = weight_texel(t0);
        t0 += 8u;
        let w1 = weight_texel(t1);
        t1 += 8u;
        let x0 = x[i0];
        i0 += params.x_stride_k;
        a0_0 += x0 * w0;
        a0_1 += x0 * w1;
    }

    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    for (var t = 0u; t < 8u; t += 4u) {
        var v0 = a0_0;
        for (var r = 0u; r < 1u; r += 1u) {
            let row_m = m + r;
            let first = (panel + (t >> 2u) * 4u) * PANEL + j * 4u - t;
            for (var c = t; c < t + 4u; c += 1u) {
                if (row_m < params.m && first + c < params.n_count) {
                    let n = params.n0 + first + c;
                    out[out_base + row_m * params.out_stride_m + n * params.out_stride_n] =
                        epilogue(v0.x, group.z, row_m, n);
                }
                v0 = v0.yzwx;
            }
        }
        a0_0 = a0_1;
    }
}
