// matmul.wgsl -- dense matrix product with streamed texture weights.
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
// One invocation owns 4 rows x 32 columns. Lanes run along m, so weight texels are shared by a whole row of lanes and x
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
const TILE_M: u32 = 64u;
const TILE_N: u32 = 128u;

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let b = vec3<u32>(group.z / (params.batch_1 * params.batch_2), (group.z / params.batch_2) % params.batch_1,
                      group.z % params.batch_2);
    let x_base = params.x_offset + dot(b, params.x_batch_stride.xyz);
    let out_base = params.out_offset + dot(b, params.out_batch_stride.xyz);
    let m = params.m0 + group.x * TILE_M + (local.x >> 3u) * 32u + (local.x & 7u);
    let panel = group.y * 4u + local.y;
    let active_invocation = m < params.m && panel * PANEL < params.n_count;
    let last_m = params.m - 1u;
    let page_mask = (1u << params.page_shift) - 1u;
    let page_shift = params.page_shift;
    let x_step = params.x_stride_k;
    var i0 = x_base + min(m + 0u, last_m) * params.x_stride_m;
    var i1 = x_base + min(m + 8u, last_m) * params.x_stride_m;
    var i2 = x_base + min(m + 16u, last_m) * params.x_stride_m;
    var i3 = x_base + min(m + 24u, last_m) * params.x_stride_m;

    var a0_0 = vec4<f32>();
    var a0_1 = vec4<f32>();
    var a0_2 = vec4<f32>();
    var a0_3 = vec4<f32>();
    var a0_4 = vec4<f32>();
    var a0_5 = vec4<f32>();
    var a0_6 = vec4<f32>();
    var a0_7 = vec4<f32>();
    var a1_0 = vec4<f32>();
    var a1_1 = vec4<f32>();
    var a1_2 = vec4<f32>();
    var a1_3 = vec4<f32>();
    var a1_4 = vec4<f32>();
    var a1_5 = vec4<f32>();
    var a1_6 = vec4<f32>();
    var a1_7 = vec4<f32>();
    var a2_0 = vec4<f32>();
    var a2_1 = vec4<f32>();
    var a2_2 = vec4<f32>();
    var a2_3 = vec4<f32>();
    var a2_4 = vec4<f32>();
    var a2_5 = vec4<f32>();
    var a2_6 = vec4<f32>();
    var a2_7 = vec4<f32>();
    var a3_0 = vec4<f32>();
    var a3_1 = vec4<f32>();
    var a3_2 = vec4<f32>();
    var a3_3 = vec4<f32>();
    var a3_4 = vec4<f32>();
    var a3_5 = vec4<f32>();
    var a3_6 = vec4<f32>();
    var a3_7 = vec4<f32>();

    // An invocation without work has an empty loop instead of an early return.
    var texel = params.weight_base + panel * params.k * 8u;
    let texel_end = texel + select(0u, params.k * 8u, active_invocation);
    for (; texel < texel_end; texel += 8u) {
        let page = texel >> page_shift;
        let layer = params.slots[page >> 2u][page & 3u];
        let in_page = texel & page_mask;
        let row = in_page >> 8u;
        let column = in_page & 255u;
        let x0 = x[i0];
        i0 += x_step;
        let x1 = x[i1];
        i1 += x_step;
        let x2 = x[i2];
        i2 += x_step;
        let x3 = x[i3];
        i3 += x_step;
        let w0 = textureLoad(weights, vec2<u32>(column, row), layer, 0);
        a0_0 += x0 * w0;
        a1_0 += x1 * w0;
        a2_0 += x2 * w0;
        a3_0 += x3 * w0;
        let w1 = textureLoad(weights, vec2<u32>(column + 1u, row), layer, 0);
        a0_1 += x0 * w1;
        a1_1 += x1 * w1;
        a2_1 += x2 * w1;
        a3_1 += x3 * w1;
        let w2 = textureLoad(weights, vec2<u32>(column + 2u, row), layer, 0);
        a0_2 += x0 * w2;
        a1_2 += x1 * w2;
        a2_2 += x2 * w2;
        a3_2 += x3 * w2;
        let w3 = textureLoad(weights, vec2<u32>(column + 3u, row), layer, 0);
        a0_3 += x0 * w3;
        a1_3 += x1 * w3;
        a2_3 += x2 * w3;
        a3_3 += x3 * w3;
        let w4 = textureLoad(weights, vec2<u32>(column + 4u, row), layer, 0);
        a0_4 += x0 * w4;
        a1_4 += x1 * w4;
        a2_4 += x2 * w4;
        a3_4 += x3 * w4;
        let w5 = textureLoad(weights, vec2<u32>(column + 5u, row), layer, 0);
        a0_5 += x0 * w5;
        a1_5 += x1 * w5;
        a2_5 += x2 * w5;
        a3_5 += x3 * w5;
        let w6 = textureLoad(weights, vec2<u32>(column + 6u, row), layer, 0);
        a0_6 += x0 * w6;
        a1_6 += x1 * w6;
        a2_6 += x2 * w6;
        a3_6 += x3 * w6;
        let w7 = textureLoad(weights, vec2<u32>(column + 7u, row), layer, 0);
        a0_7 += x0 * w7;
        a1_7 += x1 * w7;
        a2_7 += x2 * w7;
        a3_7 += x3 * w7;
    }

    if (active_invocation) {
        // Registers are rotated rather than indexed: a dynamic index would move them to memory.
        for (var t = 0u; t < 32u; t += 4u) {
            var v0 = a0_0;
            var v1 = a1_0;
            var v2 = a2_0;
            var v3 = a3_0;
            for (var r = 0u; r < 4u; r += 1u) {
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
            }
            a0_0 = a0_1;
            a0_1 = a0_2;
            a0_2 = a0_3;
            a0_3 = a0_4;
            a0_4 = a0_5;
            a0_5 = a0_6;
            a0_6 = a0_7;
            a1_0 = a1_1;
            a1_1 = a1_2;
            a1_2 = a1_3;
            a1_3 = a1_4;
            a1_4 = a1_5;
            a1_5 = a1_6;
            a1_6 = a1_7;
            a2_0 = a2_1;
            a2_1 = a2_2;
            a2_2 = a2_3;
            a2_3 = a2_4;
            a2_4 = a2_5;
            a2_5 = a2_6;
            a2_6 = a2_7;
            a3_0 = a3_1;
            a3_1 = a3_2;
            a3_2 = a3_3;
            a3_3 = a3_4;
            a3_4 = a3_5;
            a3_5 = a3_6;
            a3_6 = a3_7;
        }
    }
}
