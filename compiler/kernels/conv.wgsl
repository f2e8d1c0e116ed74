// conv.wgsl -- 2-D convolution (1-D: height 1), NCHW, implicit product with streamed texture weights.
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
// One invocation owns 4 pixels x 32 channels; see matmul.wgsl. 1x1 stride 1 without padding: use matmul.wgsl.

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
const TILE_M: u32 = 64u;
const TILE_N: u32 = 128u;

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let image = group.z / params.groups;
    let channel_group = group.z % params.groups;
    let x_base = params.x_offset + image * params.x_stride_batch
        + channel_group * params.channels * params.x_stride_channel;
    let pixels = params.out_h * params.out_w;
    let taps = params.channels * params.kernel_h * params.kernel_w;
    let m = params.m0 + group.x * TILE_M + (local.x >> 3u) * 32u + (local.x & 7u);
    let panel = group.y * 4u + local.y;
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
        let step = plane + dh * params.in_w + dw;
        let inside0 = h0 + dh < params.in_h && v0 + dw < params.in_w;
        let x0 = select(0.0, x[select(x_base, i0 + step, inside0)], inside0);
        let inside1 = h1 + dh < params.in_h && v1 + dw < params.in_w;
        let x1 = select(0.0, x[select(x_base, i1 + step, inside1)], inside1);
        let inside2 = h2 + dh < params.in_h && v2 + dw < params.in_w;
        let x2 = select(0.0, x[select(x_base, i2 + step, inside2)], inside2);
        let inside3 = h3 + dh < params.in_h && v3 + dw < params.in_w;
        let x3 = select(0.0, x[select(x_base, i3 + step, inside3)], inside3);
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
        for (var t = 0u; t < 32u; t += 4u) {
            var v0 = a0_0;
            var v1 = a1_0;
            var v2 = a2_0;
            var v3 = a3_0;
            for (var r = 0u; r < 4u; r += 1u) {
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
