// conv_depthwise_3x3.wgsl -- depthwise convolution, kernel 3x3, stride 1, dilation 1 (any padding and multiplier).
//
// Formula, bindings, parameters, packing and linked functions: exactly those of conv_depthwise.wgsl.
// Dispatch:  (ceil(n_count * ceil(out_h / 4) * ceil(out_w / 4) / INVOCATIONS), 1, images).
//
// One invocation owns a block of 4x4 output pixels of one channel and reads each of its 6x6 input pixels once.

struct Params {
    n_count: u32, n0: u32, multiplier: u32, weight_base: u32,
    page_shift: u32, in_h: u32, in_w: u32, out_h: u32,
    out_w: u32, kernel_h: u32, kernel_w: u32, stride_h: u32,
    stride_w: u32, dilation_h: u32, dilation_w: u32, pad_h: u32,
    pad_w: u32, x_offset: u32, x_stride_batch: u32, x_stride_channel: u32,
    out_offset: u32, out_stride_batch: u32, out_stride_channel: u32, pad_0: u32,
    operands: array<vec4<u32>, 4>,
    slots: array<vec4<u32>, 16>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var weights: texture_2d_array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

const INVOCATIONS: u32 = 64u;
const BLOCK: u32 = 4u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let blocks_w = (params.out_w + 3u) / 4u;
    let blocks = blocks_w * ((params.out_h + 3u) / 4u);
    let unit = min(id.x / blocks, params.n_count - 1u);
    let block = id.x % blocks;
    let channel = params.n0 + unit;
    let oh = (block / blocks_w) * 4u;
    let ow = (block % blocks_w) * 4u;
    // Top left input coordinate; unsigned wrap-around stands for negative numbers.
    let h = oh - params.pad_h;
    let w = ow - params.pad_w;
    let x_base = params.x_offset + id.z * params.x_stride_batch
        + (channel / params.multiplier) * params.x_stride_channel;
    let texel = params.weight_base + unit * 3u;
    let w0 = weight_texel(texel);
    let w1 = weight_texel(texel + 1u);
    let w2 = weight_texel(texel + 2u);

    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    let in_w0 = w + 0u < params.in_w;
    let in_w1 = w + 1u < params.in_w;
    let in_w2 = w + 2u < params.in_w;
    let in_w3 = w + 3u < params.in_w;
    let in_w4 = w + 4u < params.in_w;
    let in_w5 = w + 5u < params.in_w;

    let in_h0 = h + 0u < params.in_h;
    let row0 = x_base + (h + 0u) * params.in_w + w;
    let x00 = load(row0 + 0u, in_h0 && in_w0);
    let x01 = load(row0 + 1u, in_h0 && in_w1);
    let x02 = load(row0 + 2u, in_h0 && in_w2);
    let x03 = load(row0 + 3u, in_h0 && in_w3);
    let x04 = load(row0 + 4u, in_h0 && in_w4);
    let x05 = load(row0 + 5u, in_h0 && in_w5);
    a0 += vec4<f32>(x00, x01, x02, x03) * w0.x;
    a0 += vec4<f32>(x01, x02, x03, x04) * w0.y;
    a0 += vec4<f32>(x02, x03, x04, x05) * w0.z;

    let in_h1 = h + 1u < params.in_h;
    let row1 = x_base + (h + 1u) * params.in_w + w;
    let x10 = load(row1 + 0u, in_h1 && in_w0);
    let x11 = load(row1 + 1u, in_h1 && in_w1);
    let x12 = load(row1 + 2u, in_h1 && in_w2);
    let x13 = load(row1 + 3u, in_h1 && in_w3);
    let x14 = load(row1 + 4u, in_h1 && in_w4);
    let x15 = load(row1 + 5u, in_h1 && in_w5);
    a1 += vec4<f32>(x10, x11, x12, x13) * w0.x;
    a1 += vec4<f32>(x11, x12, x13, x14) * w0.y;
    a1 += vec4<f32>(x12, x13, x14, x15) * w0.z;
    a0 += vec4<f32>(x10, x11, x12, x13) * w0.w;
    a0 += vec4<f32>(x11, x12, x13, x14) * w1.x;
    a0 += vec4<f32>(x12, x13, x14, x15) * w1.y;

    let in_h2 = h + 2u < params.in_h;
    let row2 = x_base + (h + 2u) * params.in_w + w;
    let x20 = load(row2 + 0u, in_h2 && in_w0);
    let x21 = load(row2 + 1u, in_h2 && in_w1);
    let x22 = load(row2 + 2u, in_h2 && in_w2);
    let x23 = load(row2 + 3u, in_h2 && in_w3);
    let x24 = load(row2 + 4u, in_h2 && in_w4);
    let x25 = load(row2 + 5u, in_h2 && in_w5);
    a2 += vec4<f32>(x20, x21, x22, x23) * w0.x;
    a2 += vec4<f32>(x21, x22, x23, x24) * w0.y;
    a2 += vec4<f32>(x22, x23, x24, x25) * w0.z;
    a1 += vec4<f32>(x20, x21, x22, x23) * w0.w;
    a1 += vec4<f32>(x21, x22, x23, x24) * w1.x;
    a1 += vec4<f32>(x22, x23, x24, x25) * w1.y;
    a0 += vec4<f32>(x20, x21, x22, x23) * w1.z;
    a0 += vec4<f32>(x21, x22, x23, x24) * w1.w;
    a0 += vec4<f32>(x22, x23, x24, x25) * w2.x;

    let in_h3 = h + 3u < params.in_h;
    let row3 = x_base + (h + 3u) * params.in_w + w;
    let x30 = load(row3 + 0u, in_h3 && in_w0);
    let x31 = load(row3 + 1u, in_h3 && in_w1);
    let x32 = load(row3 + 2u, in_h3 && in_w2);
    let x33 = load(row3 + 3u, in_h3 && in_w3);
    let x34 = load(row3 + 4u, in_h3 && in_w4);
    let x35 = load(row3 + 5u, in_h3 && in_w5);
    a3 += vec4<f32>(x30, x31, x32, x33) * w0.x;
    a3 += vec4<f32>(x31, x32, x33, x34) * w0.y;
    a3 += vec4<f32>(x32, x33, x34, x35) * w0.z;
    a2 += vec4<f32>(x30, x31, x32, x33) * w0.w;
    a2 += vec4<f32>(x31, x32, x33, x34) * w1.x;
    a2 += vec4<f32>(x32, x33, x34, x35) * w1.y;
    a1 += vec4<f32>(x30, x31, x32, x33) * w1.z;
    a1 += vec4<f32>(x31, x32, x33, x34) * w1.w;
    a1 += vec4<f32>(x32, x33, x34, x35) * w2.x;

    let in_h4 = h + 4u < params.in_h;
    let row4 = x_base + (h + 4u) * params.in_w + w;
    let x40 = load(row4 + 0u, in_h4 && in_w0);
    let x41 = load(row4 + 1u, in_h4 && in_w1);
    let x42 = load(row4 + 2u, in_h4 && in_w2);
    let x43 = load(row4 + 3u, in_h4 && in_w3);
    let x44 = load(row4 + 4u, in_h4 && in_w4);
    let x45 = load(row4 + 5u, in_h4 && in_w5);
    a3 += vec4<f32>(x40, x41, x42, x43) * w0.w;
    a3 += vec4<f32>(x41, x42, x43, x44) * w1.x;
    a3 += vec4<f32>(x42, x43, x44, x45) * w1.y;
    a2 += vec4<f32>(x40, x41, x42, x43) * w1.z;
    a2 += vec4<f32>(x41, x42, x43, x44) * w1.w;
    a2 += vec4<f32>(x42, x43, x44, x45) * w2.x;

    let in_h5 = h + 5u < params.in_h;
    let row5 = x_base + (h + 5u) * params.in_w + w;
    let x50 = load(row5 + 0u, in_h5 && in_w0);
    let x51 = load(row5 + 1u, in_h5 && in_w1);
    let x52 = load(row5 + 2u, in_h5 && in_w2);
    let x53 = load(row5 + 3u, in_h5 && in_w3);
    let x54 = load(row5 + 4u, in_h5 && in_w4);
    let x55 = load(row5 + 5u, in_h5 && in_w5);
    a3 += vec4<f32>(x50, x51, x52, x53) * w1.z;
    a3 += vec4<f32>(x51, x52, x53, x54) * w1.w;
    a3 += vec4<f32>(x52, x53, x54, x55) * w2.x;

    if (id.x < params.n_count * blocks) {
        let out_base = params.out_offset + id.z * params.out_stride_batch + channel * params.out_stride_channel;
        var tile = array<vec4<f32>, 4>(a0, a1, a2, a3);
        for (var i = 0u; i < 16u; i += 1u) {
            let r = oh + (i >> 2u);
            let c = ow + (i & 3u);
            if (r < params.out_h && c < params.out_w) {
                let pixel = r * params.out_w + c;
                out[out_base + pixel] = epilogue(tile[i >> 2u][i & 3u], id.z, pixel, channel);
            }
        }
    }
}

fn load(index: u32, inside: bool) -> f32 {
    return select(0.0, x[select(0u, index, inside)], inside);
}
