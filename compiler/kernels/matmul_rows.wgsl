// matmul_rows.wgsl -- matrix product with streamed texture weights for few rows (up to 4 rows per invocation).
//
// Formula, bindings, parameters, packing and linked functions: exactly those of matmul.wgsl.
// Dispatch:  (ceil((m - m0) / TILE_M), ceil(n_count / TILE_N), batches).
//
// Lanes run along n: each owns 4 texels (16 columns, of 4 panels) and reads neighbouring texels of the same k, while
// x is uniform in the workgroup.

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
const TILE_M: u32 = 4u;
const TILE_N: u32 = 512u;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let b = vec3<u32>(group.z / (params.batch_1 * params.batch_2), (group.z / params.batch_2) % params.batch_1,
                      group.z % params.batch_2);
    let x_base = params.x_offset + dot(b, params.x_batch_stride.xyz);
    let out_base = params.out_offset + dot(b, params.out_batch_stride.xyz);
    let m = params.m0 + group.x * TILE_M;
    let last_panel = (params.n_count + PANEL - 1u) / PANEL - 1u;
    let panel = group.y * 16u + (local.x >> 3u);
    let j = local.x & 7u;
    let k_end = select(0u, params.k, panel <= last_panel);
    let k_end_unrolled = k_end & ~0u;
    var t0 = params.weight_base + min(panel + 0u, last_panel) * params.k * 8u + j;
    var t1 = params.weight_base + min(panel + 4u, last_panel) * params.k * 8u + j;
    var t2 = params.weight_base + min(panel + 8u, last_panel) * params.k * 8u + j;
    var t3 = params.weight_base + min(panel + 12u, last_panel) * params.k * 8u + j;
    var i0 = x_base + m * params.x_stride_m;
    var i1 = x_base + min(m + 1u, params.m - 1u) * params.x_stride_m;
    var i2 = x_base + min(m + 2u, params.m - 1u) * params.x_stride_m;
    var i3 = x_base + min(m + 3u, params.m - 1u) * params.x_stride_m;

    var a0_0 = vec4<f32>();
    var a0_1 = vec4<f32>();
    var a0_2 = vec4<f32>();
    var a0_3 = vec4<f32>();
    var a1_0 = vec4<f32>();
    var a1_1 = vec4<f32>();
    var a1_2 = vec4<f32>();
    var a1_3 = vec4<f32>();
    var a2_0 = vec4<f32>();
    var a2_1 = vec4<f32>();
    var a2_2 = vec4<f32>();
    var a2_3 = vec4<f32>();
    var a3_0 = vec4<f32>();
    var a3_1 = vec4<f32>();
    var a3_2 = vec4<f32>();
    var a3_3 = vec4<f32>();

    var k = 0u;
    for (; k < k_end_unrolled; k += 1u) {
        let w00 = weight_texel(t0);
        let w01 = weight_texel(t1);
        let w02 = weight_texel(t2);
        let w03 = weight_texel(t3);
        t0 += 8u;
        t1 += 8u;
        t2 += 8u;
        t3 += 8u;
        let x00 = x[i0];
        a0_0 += x00 * w00;
        a0_1 += x00 * w01;
        a0_2 += x00 * w02;
        a0_3 += x00 * w03;
        let x01 = x[i1];
        a1_0 += x01 * w00;
        a1_1 += x01 * w01;
        a1_2 += x01 * w02;
        a1_3 += x01 * w03;
        let x02 = x[i2];
        a2_0 += x02 * w00;
        a2_1 += x02 * w01;
        a2_2 += x02 * w02;
        a2_3 += x02 * w03;
        let x03 = x[i3];
        a3_0 += x03 * w00;
        a3_1 += x03 * w01;
        a3_2 += x03 * w02;
        a3_3 += x03 * w03;
        i0 += 1u * params.x_stride_k;
        i1 += 1u * params.x_stride_k;
        i2 += 1u * params.x_stride_k;
        i3 += 1u * params.x_stride_k;
    }
    for (; k < k_end; k += 1u) {
        let w0 = weight_texel(t0);
        t0 += 8u;
        let w1 = weight_texel(t1);
        t1 += 8u;
        let w2 = weight_texel(t2);
        t2 += 8u;
        let w3 = weight_texel(t3);
        t3 += 8u;
        let x0 = x[i0];
        i0 += params.x_stride_k;
        a0_0 += x0 * w0;
        a0_1 += x0 * w1;
        a0_2 += x0 * w2;
        a0_3 += x0 * w3;
        let x1 = x[i1];
        i1 += params.x_stride_k;
        a1_0 += x1 * w0;
        a1_1 += x1 * w1;
        a1_2 += x1 * w2;
        a1_3 += x1 * w3;
        let x2 = x[i2];
        i2 += params.x_stride_k;
        a2_0 += x2 * w0;
        a2_1 += x2 * w1;
        a2_2 += x2 * w2;
        a2_3 += x2 * w3;
        let x3 = x[i3];
        i3 += params.x_stride_k;
        a3_0 += x3 * w0;
        a3_1 += x3 * w1;
        a3_2 += x3 * w2;
        a3_3 += x3 * w3;
    }

    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    for (var t = 0u; t < 16u; t += 4u) {
        var v0 = a0_0;
        var v1 = a1_0;
        var v2 = a2_0;
        var v3 = a3_0;
        for (var r = 0u; r < 4u; r += 1u) {
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
            v0 = v1;
            v1 = v2;
            v2 = v3;
        }
        a0_0 = a0_1;
        a0_1 = a0_2;
        a0_2 = a0_3;
        a1_0 = a1_1;
        a1_1 = a1_2;
        a1_2 = a1_3;
        a2_0 = a2_1;
        a2_1 = a2_2;
        a2_2 = a2_3;
        a3_0 = a3_1;
        a3_1 = a3_2;
        a3_2 = a3_3;
    }
}
