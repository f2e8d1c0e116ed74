// matmul_wide.wgsl -- dense matrix product with streamed texture weights.
//
// Formula:   out[b, m, n0 + n] = epilogue(sum_k x[b, m, k] * W[k, n0 + n])      m0 <= m < params.m, 0 <= n < n_count
// Bindings:  1 weights: panels of PANEL = 32 output columns; texel (panel * k_extent + k) * 8 + j holds
//                       W[k, panel * 32 + 4 j .. + 3]; columns past N are zero. weight_base is the texel of this
//                       dispatch's first panel and a multiple of 8, so the 8 texels of one k never straddle a page row.
//            2 out:     f32, any strides; 3 x: f32, any strides (stride 0 allowed). Offsets and strides in elements.
// Dispatch:  (ceil((m - m0) / TILE_M), ceil(n_count / TILE_N), batches); batch z = (b0 * batch_1 + b1) * batch_2 + b2.
// Expects:   epilogue(value: f32, batch: u32, m: u32, n: u32) -> f32  (batch = z, n absolute); weights_texture.wgsl is
//            not needed: the page is looked up once for 8 texels.
//
// The tile for software adapters (registers are memory there); everything but the tile constants, results included, is
// that of matmul.wgsl.
//
// One invocation owns 8 rows x 64 columns. Lanes run along m, so weight texels are shared by a whole row of lanes and x
// is read with one address per lane; nothing is exchanged between invocations, so there is no barrier.

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
const TILE_M: u32 = 128u;
const TILE_N: u32 = 256u;

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let b = vec3<u32>(group.z / (params.batch_1 * params.batch_2), (group.z / params.batch_2) % params.batch_1,
                      group.z % params.batch_2);
    let x_base = params.x_offset + dot(b, params.x_batch_stride.xyz);
    let out_base = params.out_offset + dot(b, params.out_batch_stride.xyz);
    let m = params.m0 + group.x * TILE_M + (local.x >> 3u) * 64u + (local.x & 7u);
    let panel = (group.y * 4u + local.y) * 2u;
    let active_invocation = m < params.m && panel * PANEL < params.n_count;
    let last_m = params.m - 1u;
    let page_mask = (1u << params.page_shift) - 1u;
    let page_shift = params.page_shift;
    let x_step = params.x_stride_k;
    var i0 = x_base + min(m + 0u, last_m) * params.x_stride_m;
    var i1 = x_base + min(m + 8u, last_m) * params.x_stride_m;
    var i2 = x_base + min(m + 16u, last_m) * params.x_stride_m;
    var i3 = x_base + min(m + 24u, last_m) * params.x_stride_m;
    var i4 = x_base + min(m + 32u, last_m) * params.x_stride_m;
    var i5 = x_base + min(m + 40u, last_m) * params.x_stride_m;
    var i6 = x_base + min(m + 48u, last_m) * params.x_stride_m;
    var i7 = x_base + min(m + 56u, last_m) * params.x_stride_m;

    var a0_0 = vec4<f32>();
    var a0_1 = vec4<f32>();
    var a0_2 = vec4<f32>();
    var a0_3 = vec4<f32>();
    var a0_4 = vec4<f32>();
    var a0_5 = vec4<f32>();
    var a0_6 = vec4<f32>();
    var a0_7 = vec4<f32>();
    var a0_8 = vec4<f32>();
    var a0_9 = vec4<f32>();
    var a0_10 = vec4<f32>();
    var a0_11 = vec4<f32>();
    var a0_12 = vec4<f32>();
    var a0_13 = vec4<f32>();
    var a0_14 = vec4<f32>();
    var a0_15 = vec4<f32>();
    var a1_0 = vec4<f32>();
    var a1_1 = vec4<f32>();
    var a1_2 = vec4<f32>();
    var a1_3 = vec4<f32>();
    var a1_4 = vec4<f32>();
    var a1_5 = vec4<f32>();
    var a1_6 = vec4<f32>();
    var a1_7 = vec4<f32>();
    var a1_8 = vec4<f32>();
    var a1_9 = vec4<f32>();
    var a1_10 = vec4<f32>();
    var a1_11 = vec4<f32>();
    var a1_12 = vec4<f32>();
    var a1_13 = vec4<f32>();
    var a1_14 = vec4<f32>();
    var a1_15 = vec4<f32>();
    var a2_0 = vec4<f32>();
    var a2_1 = vec4<f32>();
    var a2_2 = vec4<f32>();
    var a2_3 = vec4<f32>();
    var a2_4 = vec4<f32>();
    var a2_5 = vec4<f32>();
    var a2_6 = vec4<f32>();
    var a2_7 = vec4<f32>();
    var a2_8 = vec4<f32>();
    var a2_9 = vec4<f32>();
    var a2_10 = vec4<f32>();
    var a2_11 = vec4<f32>();
    var a2_12 = vec4<f32>();
    var a2_13 = vec4<f32>();
    var a2_14 = vec4<f32>();
    var a2_15 = vec4<f32>();
    var a3_0 = vec4<f32>();
    var a3_1 = vec4<f32>();
    var a3_2 = vec4<f32>();
    var a3_3 = vec4<f32>();
    var a3_4 = vec4<f32>();
    var a3_5 = vec4<f32>();
    var a3_6 = vec4<f32>();
    var a3_7 = vec4<f32>();
    var a3_8 = vec4<f32>();
    var a3_9 = vec4<f32>();
    var a3_10 = vec4<f32>();
    var a3_11 = vec4<f32>();
    var a3_12 = vec4<f32>();
    var a3_13 = vec4<f32>();
    var a3_14 = vec4<f32>();
    var a3_15 = vec4<f32>();
    var a4_0 = vec4<f32>();
    var a4_1 = vec4<f32>();
    var a4_2 = vec4<f32>();
    var a4_3 = vec4<f32>();
    var a4_4 = vec4<f32>();
    var a4_5 = vec4<f32>();
    var a4_6 = vec4<f32>();
    var a4_7 = vec4<f32>();
    var a4_8 = vec4<f32>();
    var a4_9 = vec4<f32>();
    var a4_10 = vec4<f32>();
    var a4_11 = vec4<f32>();
    var a4_12 = vec4<f32>();
    var a4_13 = vec4<f32>();
    var a4_14 = vec4<f32>();
    var a4_15 = vec4<f32>();
    var a5_0 = vec4<f32>();
    var a5_1 = vec4<f32>();
    var a5_2 = vec4<f32>();
    var a5_3 = vec4<f32>();
    var a5_4 = vec4<f32>();
    var a5_5 = vec4<f32>();
    var a5_6 = vec4<f32>();
    var a5_7 = vec4<f32>();
    var a5_8 = vec4<f32>();
    var a5_9 = vec4<f32>();
    var a5_10 = vec4<f32>();
    var a5_11 = vec4<f32>();
    var a5_12 = vec4<f32>();
    var a5_13 = vec4<f32>();
    var a5_14 = vec4<f32>();
    var a5_15 = vec4<f32>();
    var a6_0 = vec4<f32>();
    var a6_1 = vec4<f32>();
    var a6_2 = vec4<f32>();
    var a6_3 = vec4<f32>();
    var a6_4 = vec4<f32>();
    var a6_5 = vec4<f32>();
    var a6_6 = vec4<f32>();
    var a6_7 = vec4<f32>();
    var a6_8 = vec4<f32>();
    var a6_9 = vec4<f32>();
    var a6_10 = vec4<f32>();
    var a6_11 = vec4<f32>();
    var a6_12 = vec4<f32>();
    var a6_13 = vec4<f32>();
    var a6_14 = vec4<f32>();
    var a6_15 = vec4<f32>();
    var a7_0 = vec4<f32>();
    var a7_1 = vec4<f32>();
    var a7_2 = vec4<f32>();
    var a7_3 = vec4<f32>();
    var a7_4 = vec4<f32>();
    var a7_5 = vec4<f32>();
    var a7_6 = vec4<f32>();
    var a7_7 = vec4<f32>();
    var a7_8 = vec4<f32>();
    var a7_9 = vec4<f32>();
    var a7_10 = vec4<f32>();
    var a7_11 = vec4<f32>();
    var a7_12 = vec4<f32>();
    var a7_13 = vec4<f32>();
    var a7_14 = vec4<f32>();
    var a7_15 = vec4<f32>();

    // Invocations with fewer panels left read their first one again.
    let panel_step_1 = select(0u, 1u * params.k * 8u, (panel + 1u) * PANEL < params.n_count);
    // An invocation without work has an empty loop instead of an early return.
    var texel = params.weight_base + panel * params.k * 8u;
    let texel_end = texel + select(0u, params.k * 8u, active_invocation);
    for (; texel < texel_end; texel += 8u) {
        let page = texel >> page_shift;
        let layer = params.slots[page >> 2u][page & 3u];
        let in_page = texel & page_mask;
        let row = in_page >> 8u;
        let column = in_page & 255u;
        let texel_1 = texel + panel_step_1;
        let page_1 = texel_1 >> page_shift;
        let layer_1 = params.slots[page_1 >> 2u][page_1 & 3u];
        let in_page_1 = texel_1 & page_mask;
        let row_1 = in_page_1 >> 8u;
        let column_1 = in_page_1 & 255u;
        let x0 = x[i0];
        i0 += x_step;
        let x1 = x[i1];
        i1 += x_step;
        let x2 = x[i2];
        i2 += x_step;
        let x3 = x[i3];
        i3 += x_step;
        let x4 = x[i4];
        i4 += x_step;
        let x5 = x[i5];
        i5 += x_step;
        let x6 = x[i6];
        i6 += x_step;
        let x7 = x[i7];
        i7 += x_step;
        let w0 = textureLoad(weights, vec2<u32>(column, row), layer, 0);
        a0_0 += x0 * w0;
        a1_0 += x1 * w0;
        a2_0 += x2 * w0;
        a3_0 += x3 * w0;
        a4_0 += x4 * w0;
        a5_0 += x5 * w0;
        a6_0 += x6 * w0;
        a7_0 += x7 * w0;
        let w1 = textureLoad(weights, vec2<u32>(column + 1u, row), layer, 0);
        a0_1 += x0 * w1;
        a1_1 += x1 * w1;
        a2_1 += x2 * w1;
        a3_1 += x3 * w1;
        a4_1 += x4 * w1;
        a5_1 += x5 * w1;
        a6_1 += x6 * w1;
        a7_1 += x7 * w1;
        let w2 = textureLoad(weights, vec2<u32>(column + 2u, row), layer, 0);
        a0_2 += x0 * w2;
        a1_2 += x1 * w2;
        a2_2 += x2 * w2;
        a3_2 += x3 * w2;
        a4_2 += x4 * w2;
        a5_2 += x5 * w2;
        a6_2 += x6 * w2;
        a7_2 += x7 * w2;
        let w3 = textureLoad(weights, vec2<u32>(column + 3u, row), layer, 0);
        a0_3 += x0 * w3;
        a1_3 += x1 * w3;
        a2_3 += x2 * w3;
        a3_3 += x3 * w3;
        a4_3 += x4 * w3;
        a5_3 += x5 * w3;
        a6_3 += x6 * w3;
        a7_3 += x7 * w3;
        let w4 = textureLoad(weights, vec2<u32>(column + 4u, row), layer, 0);
        a0_4 += x0 * w4;
        a1_4 += x1 * w4;
        a2_4 += x2 * w4;
        a3_4 += x3 * w4;
        a4_4 += x4 * w4;
        a5_4 += x5 * w4;
        a6_4 += x6 * w4;
        a7_4 += x7 * w4;
        let w5 = textureLoad(weights, vec2<u32>(column + 5u, row), layer, 0);
        a0_5 += x0 * w5;
        a1_5 += x1 * w5;
        a2_5 += x2 * w5;
        a3_5 += x3 * w5;
        a4_5 += x4 * w5;
        a5_5 += x5 * w5;
        a6_5 += x6 * w5;
        a7_5 += x7 * w5;
        let w6 = textureLoad(weights, vec2<u32>(column + 6u, row), layer, 0);
        a0_6 += x0 * w6;
        a1_6 += x1 * w6;
        a2_6 += x2 * w6;
        a3_6 += x3 * w6;
        a4_6 += x4 * w6;
        a5_6 += x5 * w6;
        a6_6 += x6 * w6;
        a7_6 += x7 * w6;
        let w7 = textureLoad(weights, vec2<u32>(column + 7u, row), layer, 0);
        a0_7 += x0 * w7;
        a1_7 += x1 * w7;
        a2_7 += x2 * w7;
        a3_7 += x3 * w7;
        a4_7 += x4 * w7;
        a5_7 += x5 * w7;
        a6_7 += x6 * w7;
        a7_7 += x7 * w7;
        let w8 = textureLoad(weights, vec2<u32>(column_1, row_1), layer_1, 0);
        a0_8 += x0 * w8;
        a1_8 += x1 * w8;
        a2_8 += x2 * w8;
        a3_8 += x3 * w8;
        a4_8 += x4 * w8;
        a5_8 += x5 * w8;
        a6_8 += x6 * w8;
        a7_8 += x7 * w8;
        let w9 = textureLoad(weights, vec2<u32>(column_1 + 1u, row_1), layer_1, 0);
        a0_9 += x0 * w9;
        a1_9 += x1 * w9;
        a2_9 += x2 * w9;
        a3_9 += x3 * w9;
        a4_9 += x4 * w9;
        a5_9 += x5 * w9;
        a6_9 += x6 * w9;
        a7_9 += x7 * w9;
        let w10 = textureLoad(weights, vec2<u32>(column_1 + 2u, row_1), layer_1, 0);
        a0_10 += x0 * w10;
        a1_10 += x1 * w10;
        a2_10 += x2 * w10;
        a3_10 += x3 * w10;
        a4_10 += x4 * w10;
        a5_10 += x5 * w10;
        a6_10 += x6 * w10;
        a7_10 += x7 * w10;
        let w11 = textureLoad(weights, vec2<u32>(column_1 + 3u, row_1), layer_1, 0);
        a0_11 += x0 * w11;
        a1_11 += x1 * w11;
        a2_11 += x2 * w11;
        a3_11 += x3 * w11;
        a4_11 += x4 * w11;
        a5_11 += x5 * w11;
        a6_11 += x6 * w11;
        a7_11 += x7 * w11;
        let w12 = textureLoad(weights, vec2<u32>(column_1 + 4u, row_1), layer_1, 0);
        a0_12 += x0 * w12;
        a1_12 += x1 * w12;
        a2_12 += x2 * w12;
        a3_12 += x3 * w12;
        a4_12 += x4 * w12;
        a5_12 += x5 * w12;
        a6_12 += x6 * w12;
        a7_12 += x7 * w12;
        let w13 = textureLoad(weights, vec2<u32>(column_1 + 5u, row_1), layer_1, 0);
        a0_13 += x0 * w13;
        a1_13 += x1 * w13;
        a2_13 += x2 * w13;
        a3_13 += x3 * w13;
        a4_13 += x4 * w13;
        a5_13 += x5 * w13;
        a6_13 += x6 * w13;
        a7_13 += x7 * w13;
        let w14 = textureLoad(weights, vec2<u32>(column_1 + 6u, row_1), layer_1, 0);
        a0_14 += x0 * w14;
        a1_14 += x1 * w14;
        a2_14 += x2 * w14;
        a3_14 += x3 * w14;
        a4_14 += x4 * w14;
        a5_14 += x5 * w14;
        a6_14 += x6 * w14;
        a7_14 += x7 * w14;
        let w15 = textureLoad(weights, vec2<u32>(column_1 + 7u, row_1), layer_1, 0);
        a0_15 += x0 * w15;
        a1_15 += x1 * w15;
        a2_15 += x2 * w15;
        a3_15 += x3 * w15;
        a4_15 += x4 * w15;
        a5_15 += x5 * w15;
        a6_15 += x6 * w15;
        a7_15 += x7 * w15;
    }

    if (active_invocation) {
        // Registers are rotated rather than indexed: a dynamic index would move them to memory.
        for (var t = 0u; t < 64u; t += 4u) {
            var v0 = a0_0;
            var v1 = a1_0;
            var v2 = a2_0;
            var v3 = a3_0;
            var v4 = a4_0;
            var v5 = a5_0;
            var v6 = a6_0;
            var v7 = a7_0;
            for (var r = 0u; r < 8u; r += 1u) {
                let row_m = m + r * 8u;
                let columns = select(0u, params.n_count - panel * PANEL, row_m < params.m);
                for (var c = t; c < t + 4u; c += 1u) {
                    if (c < columns) {
                        let n = params.n0 + panel * PANEL + c;
                        out[out_base + row_m * params.out_stride_m + n * params.out_stride_n] =
                            epilogue(v0.x, group.z, row_m, n);
                    }
                    v0 = v0.yzwx;
                }
                v0 = v1;
                v1 = v2;
                v2 = v3;
                v3 = v4;
                v4 = v5;
                v5 = v6;
                v6 = v7;
            }
            a0_0 = a0_1;
            a0_1 = a0_2;
            a0_2 = a0_3;
            a0_3 = a0_4;
            a0_4 = a0_5;
            a0_5 = a0_6;
            a0_6 = a0_7;
            a0_7 = a0_8;
            a0_8 = a0_9;
            a0_9 = a0_10;
            a0_10 = a0_11;
            a0_11 = a0_12;
            a0_12 = a0_13;
            a0_13 = a0_14;
            a0_14 = a0_15;
            a1_0 = a1_1;
            a1_1 = a1_2;
            a1_2 = a1_3;
            a1_3 = a1_4;
            a1_4 = a1_5;
            a1_5 = a1_6;
            a1_6 = a1_7;
            a1_7 = a1_8;
            a1_8 = a1_9;
            a1_9 = a1_10;
            a1_10 = a1_11;
            a1_11 = a1_12;
            a1_12 = a1_13;
            a1_13 = a1_14;
            a1_14 = a1_15;
            a2_0 = a2_1;
            a2_1 = a2_2;
            a2_2 = a2_3;
            a2_3 = a2_4;
            a2_4 = a2_5;
            a2_5 = a2_6;
            a2_6 = a2_7;
            a2_7 = a2_8;
            a2_8 = a2_9;
            a2_9 = a2_10;
            a2_10 = a2_11;
            a2_11 = a2_12;
            a2_12 = a2_13;
            a2_13 = a2_14;
            a2_14 = a2_15;
            a3_0 = a3_1;
            a3_1 = a3_2;
            a3_2 = a3_3;
            a3_3 = a3_4;
            a3_4 = a3_5;
            a3_5 = a3_6;
            a3_6 = a3_7;
            a3_7 = a3_8;
            a3_8 = a3_9;
            a3_9 = a3_10;
            a3_10 = a3_11;
            a3_11 = a3_12;
            a3_12 = a3_13;
            a3_13 = a3_14;
            a3_14 = a3_15;
            a4_0 = a4_1;
            a4_1 = a4_2;
            a4_2 = a4_3;
            a4_3 = a4_4;
            a4_4 = a4_5;
            a4_5 = a4_6;
            a4_6 = a4_7;
            a4_7 = a4_8;
            a4_8 = a4_9;
            a4_9 = a4_10;
            a4_10 = a4_11;
            a4_11 = a4_12;
            a4_12 = a4_13;
            a4_13 = a4_14;
            a4_14 = a4_15;
            a5_0 = a5_1;
            a5_1 = a5_2;
            a5_2 = a5_3;
            a5_3 = a5_4;
            a5_4 = a5_5;
            a5_5 = a5_6;
            a5_6 = a5_7;
            a5_7 = a5_8;
            a5_8 = a5_9;
            a5_9 = a5_10;
            a5_10 = a5_11;
            a5_11 = a5_12;
            a5_12 = a5_13;
            a5_13 = a5_14;
            a5_14 = a5_15;
            a6_0 = a6_1;
            a6_1 = a6_2;
            a6_2 = a6_3;
            a6_3 = a6_4;
            a6_4 = a6_5;
            a6_5 = a6_6;
            a6_6 = a6_7;
            a6_7 = a6_8;
            a6_8 = a6_9;
            a6_9 = a6_10;
            a6_10 = a6_11;
            a6_11 = a6_12;
            a6_12 = a6_13;
            a6_13 = a6_14;
            a6_14 = a6_15;
            a7_0 = a7_1;
            a7_1 = a7_2;
            a7_2 = a7_3;
            a7_3 = a7_4;
            a7_4 = a7_5;
            a7_5 = a7_6;
            a7_6 = a7_7;
            a7_7 = a7_8;
            a7_8 = a7_9;
            a7_9 = a7_10;
            a7_10 = a7_11;
            a7_11 = a7_12;
            a7_12 = a7_13;
            a7_13 = a7_14;
            a7_14 = a7_15;
        }
    }
}
