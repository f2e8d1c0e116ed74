// conv_wide.wgsl -- 2-D convolution (1-D: height 1), NCHW, implicit product with streamed texture weights.
//
// Formula:   out[b, g, n0 + n, oh, ow] = epilogue(sum_k x[b, g, c, oh * stride_h + kh * dilation_h - pad_h,
//                                                         ow * stride_w + kw * dilation_w - pad_w] * W[g, k, n0 + n])
//            k = (c * kernel_h + kh) * kernel_w + kw, x is 0 outside; 0 <= n < n_count; output pixel
//            m = oh * out_w + ow, m0 <= m < out_h * out_w.
// Bindings:  1 weights: per group, panels of PANEL = 32 output channels; texel
//                       (panel * k_extent + k) * 8 + j holds W[g, k, panel * 32 + 4 j .. + 3], zeros past the
//                       group's channels. Group g starts at weight_base + g * weight_group_stride, multiples of 8.
//            2 out, 3 x: f32; offsets and strides in elements; the pixels of a channel are contiguous rows.
// Dispatch:  (ceil((out_h * out_w - m0) / TILE_M), ceil(n_count / TILE_N), images * groups),
//            z = image * groups + group.
// Expects:   epilogue(value: f32, batch: u32, m: u32, n: u32) -> f32  (batch = image, m = output pixel,
//            n = absolute output channel = group * n_per_group + n0 + n). weights_texture.wgsl is not needed.
//
// The tile for software adapters (registers are memory there); everything but the tile constants, results included, is
// that of conv_tiled.wgsl.
//
// One invocation owns 8 pixels x 64 channels; see matmul.wgsl. 1x1 stride 1 without padding: use matmul.wgsl.

struct Params {
    n_count: u32, n0: u32, n_per_group: u32, groups: u32,
    weight_base: u32, weight_group_stride: u32, page_shift: u32, channels: u32,
    in_h: u32, in_w: u32, out_h: u32, out_w: u32,
    kernel_h: u32, kernel_w: u32, stride_h: u32, stride_w: u32,
    dilation_h: u32, dilation_w: u32, pad_h: u32, pad_w: u32,
    x_offset: u32, x_stride_batch: u32, x_stride_channel: u32, out_offset: u32,
    out_stride_batch: u32, out_stride_channel: u32, m0: u32, pad_0: u32,
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
    let image = group.z / params.groups;
    let channel_group = group.z % params.groups;
    let x_base = params.x_offset + image * params.x_stride_batch
        + channel_group * params.channels * params.x_stride_channel;
    let pixels = params.out_h * params.out_w;
    let taps = params.channels * params.kernel_h * params.kernel_w;
    let m = params.m0 + group.x * TILE_M + (local.x >> 3u) * 64u + (local.x & 7u);
    let panel = (group.y * 4u + local.y) * 2u;
    let active_invocation = m < pixels && panel * PANEL < params.n_count;
    let page_mask = (1u << params.page_shift) - 1u;
    let page_shift = params.page_shift;

    // Top left input coordinate of each pixel; unsigned wrap-around stands for negative numbers.
    let p0 = min(m + 0u, pixels - 1u);
    let h0 = (p0 / params.out_w) * params.stride_h - params.pad_h;
    let v0 = (p0 % params.out_w) * params.stride_w - params.pad_w;
    let i0 = x_base + h0 * params.in_w + v0;
    let p1 = min(m + 8u, pixels - 1u);
    let h1 = (p1 / params.out_w) * params.stride_h - params.pad_h;
    let v1 = (p1 % params.out_w) * params.stride_w - params.pad_w;
    let i1 = x_base + h1 * params.in_w + v1;
    let p2 = min(m + 16u, pixels - 1u);
    let h2 = (p2 / params.out_w) * params.stride_h - params.pad_h;
    let v2 = (p2 % params.out_w) * params.stride_w - params.pad_w;
    let i2 = x_base + h2 * params.in_w + v2;
    let p3 = min(m + 24u, pixels - 1u);
    let h3 = (p3 / params.out_w) * params.stride_h - params.pad_h;
    let v3 = (p3 % params.out_w) * params.stride_w - params.pad_w;
    let i3 = x_base + h3 * params.in_w + v3;
    let p4 = min(m + 32u, pixels - 1u);
    let h4 = (p4 / params.out_w) * params.stride_h - params.pad_h;
    let v4 = (p4 % params.out_w) * params.stride_w - params.pad_w;
    let i4 = x_base + h4 * params.in_w + v4;
    let p5 = min(m + 40u, pixels - 1u);
    let h5 = (p5 / params.out_w) * params.stride_h - params.pad_h;
    let v5 = (p5 % params.out_w) * params.stride_w - params.pad_w;
    let i5 = x_base + h5 * params.in_w + v5;
    let p6 = min(m + 48u, pixels - 1u);
    let h6 = (p6 / params.out_w) * params.stride_h - params.pad_h;
    let v6 = (p6 % params.out_w) * params.stride_w - params.pad_w;
    let i6 = x_base + h6 * params.in_w + v6;
    let p7 = min(m + 56u, pixels - 1u);
    let h7 = (p7 / params.out_w) * params.stride_h - params.pad_h;
    let v7 = (p7 % params.out_w) * params.stride_w - params.pad_w;
    let i7 = x_base + h7 * params.in_w + v7;

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
    let panel_step_1 = select(0u, 1u * taps * 8u, (panel + 1u) * PANEL < params.n_count);
    // An invocation without work has an empty loop instead of an early return.
    var texel = params.weight_base + channel_group * params.weight_group_stride + panel * taps * 8u;
    let texel_end = texel + select(0u, taps * 8u, active_invocation);
    var dh = 0u;
    var dw = 0u;
    var plane = 0u;
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
        let step = plane + dh * params.in_w + dw;
        let inside0 = h0 + dh < params.in_h && v0 + dw < params.in_w;
        let x0 = select(0.0, x[select(x_base, i0 + step, inside0)], inside0);
        let inside1 = h1 + dh < params.in_h && v1 + dw < params.in_w;
        let x1 = select(0.0, x[select(x_base, i1 + step, inside1)], inside1);
        let inside2 = h2 + dh < params.in_h && v2 + dw < params.in_w;
        let x2 = select(0.0, x[select(x_base, i2 + step, inside2)], inside2);
        let inside3 = h3 + dh < params.in_h && v3 + dw < params.in_w;
        let x3 = select(0.0, x[select(x_base, i3 + step, inside3)], inside3);
        let inside4 = h4 + dh < params.in_h && v4 + dw < params.in_w;
        let x4 = select(0.0, x[select(x_base, i4 + step, inside4)], inside4);
        let inside5 = h5 + dh < params.in_h && v5 + dw < params.in_w;
        let x5 = select(0.0, x[select(x_base, i5 + step, inside5)], inside5);
        let inside6 = h6 + dh < params.in_h && v6 + dw < params.in_w;
        let x6 = select(0.0, x[select(x_base, i6 + step, inside6)], inside6);
        let inside7 = h7 + dh < params.in_h && v7 + dw < params.in_w;
        let x7 = select(0.0, x[select(x_base, i7 + step, inside7)], inside7);
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

        dw += params.dilation_w;
        let row_done = dw >= params.kernel_w * params.dilation_w;
        dw = select(dw, 0u, row_done);
        dh += select(0u, params.dilation_h, row_done);
        let plane_done = dh >= params.kernel_h * params.dilation_h;
        dh = select(dh, 0u, plane_done);
        plane += select(0u, params.x_stride_channel, plane_done);
    }

    if (active_invocation) {
        let out_base = params.out_offset + image * params.out_stride_batch;
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
                let pixel = m + r * 8u;
                let columns = select(0u, params.n_count - panel * PANEL, pixel < pixels);
                for (var c = t; c < t + 4u; c += 1u) {
                    if (c < columns) {
                        let n = channel_group * params.n_per_group + params.n0 + panel * PANEL + c;
                        out[out_base + n * params.out_stride_channel + pixel] = epilogue(v0.x, image, pixel, n);
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
