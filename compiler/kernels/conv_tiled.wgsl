// conv_tiled.wgsl -- 2-D convolution (1-D: height 1), NCHW, for GPUs with workgroup memory.
//
// Formula, bindings, parameters, packing and linked functions: exactly those of conv_wide.wgsl.
// Dispatch:  (ceil((out_h * out_w - m0) / TILE_M), ceil(n_count / TILE_N), images * groups),
//            z = image * groups + group.
//
// An implicit product. A workgroup of 128 owns 32 pixels x 64 channels, an invocation 4 x 4 of them in registers.
// Tiles of 32 taps go through workgroup memory: x as vec4 of the pixels i, i + 8, i + 16, i + 24, weights as
// texels. The next tile is fetched into registers while this one is multiplied. Taps run upwards in every sum; a tap
// past the end contributes 0 * 0.

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
const TILE_M: u32 = 32u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 32u;

var<workgroup> x_tile: array<array<vec4<f32>, 9>, 32>;
var<workgroup> w_tile: array<array<vec4<f32>, 16>, 32>;

// Texel `base + 8 k`, zero when not inside or past the last k.
fn load_w(base: u32, k: u32, inside: bool, taps: u32) -> vec4<f32> {
    let texel = base + min(k, taps - 1u) * 8u;
    let page = texel >> params.page_shift;
    let layer = params.slots[page >> 2u][page & 3u];
    let in_page = texel & ((1u << params.page_shift) - 1u);
    let value = textureLoad(weights, vec2<u32>(in_page & 255u, in_page >> 8u), layer, 0);
    return select(vec4<f32>(), value, inside && k < taps);
}

// A tap: x = offset of its channel, y = kh * dilation_h, z = kw * dilation_w.
fn first_tap(k: u32) -> vec3<u32> {
    let window = params.kernel_h * params.kernel_w;
    return vec3<u32>(k / window * params.x_stride_channel, k % window / params.kernel_w * params.dilation_h,
                     k % params.kernel_w * params.dilation_w);
}

// The sum of two taps, with carries.
fn add_tap(tap: vec3<u32>, step: vec3<u32>) -> vec3<u32> {
    let row = params.kernel_w * params.dilation_w;
    let column = params.kernel_h * params.dilation_h;
    var t = tap + step;
    let row_done = t.z >= row;
    t.z -= select(0u, row, row_done);
    t.y += select(0u, params.dilation_h, row_done);
    let plane_done = t.y >= column;
    t.y -= select(0u, column, plane_done);
    t.x += select(0u, params.x_stride_channel, plane_done);
    return t;
}

// x under one tap of four pixels (h, v: top left input coordinates, negative ones wrapped around), zero outside.
fn load_x(h: vec4<u32>, v: vec4<u32>, x_base: u32, tap: vec3<u32>, in_taps: bool) -> vec4<f32> {
    let row = h + tap.y;
    let column = v + tap.z;
    let inside = (row < vec4<u32>(params.in_h)) & (column < vec4<u32>(params.in_w)) & vec4<bool>(in_taps);
    let i = x_base + select(vec4<u32>(), tap.x + row * params.in_w + column, inside);
    return select(vec4<f32>(), vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]), inside);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let image = group.z / params.groups;
    let channel_group = group.z % params.groups;
    let x_base = params.x_offset + image * params.x_stride_batch
        + channel_group * params.channels * params.x_stride_channel;
    let pixels = params.out_h * params.out_w;
    let k_end = params.channels * params.kernel_h * params.kernel_w;
    let tile_m = params.m0 + group.x * TILE_M;
    let tile_n = group.y * TILE_N;

    // What this invocation fetches; lanes follow the pixels.
    let xi = local % 8u;
    let pixel = min(tile_m + xi + vec4<u32>(0u, 8u, 16u, 24u), vec4<u32>(pixels - 1u));
    let h = pixel / params.out_w * params.stride_h - params.pad_h;
    let v = pixel % params.out_w * params.stride_w - params.pad_w;
    let tap_step = first_tap(TILE_K);
    let xk0 = local / 8u;
    var tap0 = first_tap(xk0);
    let xk1 = local / 8u + 16u;
    var tap1 = first_tap(xk1);
    let panels = (params.n_count + PANEL - 1u) / PANEL;
    let weight_base = params.weight_base + channel_group * params.weight_group_stride;
    let wk0 = (local >> 3u) % 32u;
    let wi0 = local / 256u * 8u + (local & 7u);
    let w_panel0 = group.y * 2u + local / 256u;
    let w_inside0 = w_panel0 < panels;
    let w_base0 = weight_base + min(w_panel0, panels - 1u) * k_end * 8u + (local & 7u);
    let wk1 = ((local + 128u) >> 3u) % 32u;
    let wi1 = (local + 128u) / 256u * 8u + (local & 7u);
    let w_panel1 = group.y * 2u + (local + 128u) / 256u;
    let w_inside1 = w_panel1 < panels;
    let w_base1 = weight_base + min(w_panel1, panels - 1u) * k_end * 8u + (local & 7u);
    let wk2 = ((local + 256u) >> 3u) % 32u;
    let wi2 = (local + 256u) / 256u * 8u + (local & 7u);
    let w_panel2 = group.y * 2u + (local + 256u) / 256u;
    let w_inside2 = w_panel2 < panels;
    let w_base2 = weight_base + min(w_panel2, panels - 1u) * k_end * 8u + (local & 7u);
    let wk3 = ((local + 384u) >> 3u) % 32u;
    let wi3 = (local + 384u) / 256u * 8u + (local & 7u);
    let w_panel3 = group.y * 2u + (local + 384u) / 256u;
    let w_inside3 = w_panel3 < panels;
    let w_base3 = weight_base + min(w_panel3, panels - 1u) * k_end * 8u + (local & 7u);

    // What it computes: lanes follow the pixels.
    let ty = local % 8u;
    let tx = local / 8u;
    var a0_0 = vec4<f32>();
    var a1_0 = vec4<f32>();
    var a2_0 = vec4<f32>();
    var a3_0 = vec4<f32>();

    var next_x0 = load_x(h, v, x_base, tap0, xk0 < k_end);
    var next_x1 = load_x(h, v, x_base, tap1, xk1 < k_end);
    var next_w0 = load_w(w_base0, wk0, w_inside0, k_end);
    var next_w1 = load_w(w_base1, wk1, w_inside1, k_end);
    var next_w2 = load_w(w_base2, wk2, w_inside2, k_end);
    var next_w3 = load_w(w_base3, wk3, w_inside3, k_end);
    for (var k0 = 0u; k0 < k_end; k0 += TILE_K) {
        workgroupBarrier();
        x_tile[xk0][xi] = next_x0;
        x_tile[xk1][xi] = next_x1;
        w_tile[wk0][wi0] = next_w0;
        w_tile[wk1][wi1] = next_w1;
        w_tile[wk2][wi2] = next_w2;
        w_tile[wk3][wi3] = next_w3;
        workgroupBarrier();
        if (k0 + TILE_K < k_end) {
            let k1 = k0 + TILE_K;
            tap0 = add_tap(tap0, tap_step);
            next_x0 = load_x(h, v, x_base, tap0, k1 + xk0 < k_end);
            tap1 = add_tap(tap1, tap_step);
            next_x1 = load_x(h, v, x_base, tap1, k1 + xk1 < k_end);
            next_w0 = load_w(w_base0, k1 + wk0, w_inside0, k_end);
            next_w1 = load_w(w_base1, k1 + wk1, w_inside1, k_end);
            next_w2 = load_w(w_base2, k1 + wk2, w_inside2, k_end);
            next_w3 = load_w(w_base3, k1 + wk3, w_inside3, k_end);
        }
        let x0_0 = x_tile[0][ty];
        let w0_0 = w_tile[0][tx];
        a0_0 += x0_0.x * w0_0;
        a1_0 += x0_0.y * w0_0;
        a2_0 += x0_0.z * w0_0;
        a3_0 += x0_0.w * w0_0;
        let x1_0 = x_tile[1][ty];
        let w1_0 = w_tile[1][tx];
        a0_0 += x1_0.x * w1_0;
        a1_0 += x1_0.y * w1_0;
        a2_0 += x1_0.z * w1_0;
        a3_0 += x1_0.w * w1_0;
        let x2_0 = x_tile[2][ty];
        let w2_0 = w_tile[2][tx];
        a0_0 += x2_0.x * w2_0;
        a1_0 += x2_0.y * w2_0;
        a2_0 += x2_0.z * w2_0;
        a3_0 += x2_0.w * w2_0;
        let x3_0 = x_tile[3][ty];
        let w3_0 = w_tile[3][tx];
        a0_0 += x3_0.x * w3_0;
        a1_0 += x3_0.y * w3_0;
        a2_0 += x3_0.z * w3_0;
        a3_0 += x3_0.w * w3_0;
        let x4_0 = x_tile[4][ty];
        let w4_0 = w_tile[4][tx];
        a0_0 += x4_0.x * w4_0;
        a1_0 += x4_0.y * w4_0;
        a2_0 += x4_0.z * w4_0;
        a3_0 += x4_0.w * w4_0;
        let x5_0 = x_tile[5][ty];
        let w5_0 = w_tile[5][tx];
        a0_0 += x5_0.x * w5_0;
        a1_0 += x5_0.y * w5_0;
        a2_0 += x5_0.z * w5_0;
        a3_0 += x5_0.w * w5_0;
        let x6_0 = x_tile[6][ty];
        let w6_0 = w_tile[6][tx];
        a0_0 += x6_0.x * w6_0;
        a1_0 += x6_0.y * w6_0;
        a2_0 += x6_0.z * w6_0;
        a3_0 += x6_0.w * w6_0;
        let x7_0 = x_tile[7][ty];
        let w7_0 = w_tile[7][tx];
        a0_0 += x7_0.x * w7_0;
        a1_0 += x7_0.y * w7_0;
        a2_0 += x7_0.z * w7_0;
        a3_0 += x7_0.w * w7_0;
        let x8_0 = x_tile[8][ty];
        let w8_0 = w_tile[8][tx];
        a0_0 += x8_0.x * w8_0;
        a1_0 += x8_0.y * w8_0;
        a2_0 += x8_0.z * w8_0;
        a3_0 += x8_0.w * w8_0;
        let x9_0 = x_tile[9][ty];
        let w9_0 = w_tile[9][tx];
        a0_0 += x9_0.x * w9_0;
        a1_0 += x9_0.y * w9_0;
        a2_0 += x9_0.z * w9_0;
        a3_0 += x9_0.w * w9_0;
        let x10_0 = x_tile[10][ty];
        let w10_0 = w_tile[10][tx];
        a0_0 += x10_0.x * w10_0;
        a1_0 += x10_0.y * w10_0;
        a2_0 += x10_0.z * w10_0;
        a3_0 += x10_0.w * w10_0;
        let x11_0 = x_tile[11][ty];
        let w11_0 = w_tile[11][tx];
        a0_0 += x11_0.x * w11_0;
        a1_0 += x11_0.y * w11_0;
        a2_0 += x11_0.z * w11_0;
        a3_0 += x11_0.w * w11_0;
        let x12_0 = x_tile[12][ty];
        let w12_0 = w_tile[12][tx];
        a0_0 += x12_0.x * w12_0;
        a1_0 += x12_0.y * w12_0;
        a2_0 += x12_0.z * w12_0;
        a3_0 += x12_0.w * w12_0;
        let x13_0 = x_tile[13][ty];
        let w13_0 = w_tile[13][tx];
        a0_0 += x13_0.x * w13_0;
        a1_0 += x13_0.y * w13_0;
        a2_0 += x13_0.z * w13_0;
        a3_0 += x13_0.w * w13_0;
        let x14_0 = x_tile[14][ty];
        let w14_0 = w_tile[14][tx];
        a0_0 += x14_0.x * w14_0;
        a1_0 += x14_0.y * w14_0;
        a2_0 += x14_0.z * w14_0;
        a3_0 += x14_0.w * w14_0;
        let x15_0 = x_tile[15][ty];
        let w15_0 = w_tile[15][tx];
        a0_0 += x15_0.x * w15_0;
        a1_0 += x15_0.y * w15_0;
        a2_0 += x15_0.z * w15_0;
        a3_0 += x15_0.w * w15_0;
        let x16_0 = x_tile[16][ty];
        let w16_0 = w_tile[16][tx];
        a0_0 += x16_0.x * w16_0;
        a1_0 += x16_0.y * w16_0;
        a2_0 += x16_0.z * w16_0;
        a3_0 += x16_0.w * w16_0;
        let x17_0 = x_tile[17][ty];
        let w17_0 = w_tile[17][tx];
        a0_0 += x17_0.x * w17_0;
        a1_0 += x17_0.y * w17_0;
        a2_0 += x17_0.z * w17_0;
        a3_0 += x17_0.w * w17_0;
        let x18_0 = x_tile[18][ty];
        let w18_0 = w_tile[18][tx];
        a0_0 += x18_0.x * w18_0;
        a1_0 += x18_0.y * w18_0;
        a2_0 += x18_0.z * w18_0;
        a3_0 += x18_0.w * w18_0;
        let x19_0 = x_tile[19][ty];
        let w19_0 = w_tile[19][tx];
        a0_0 += x19_0.x * w19_0;
        a1_0 += x19_0.y * w19_0;
        a2_0 += x19_0.z * w19_0;
        a3_0 += x19_0.w * w19_0;
        let x20_0 = x_tile[20][ty];
        let w20_0 = w_tile[20][tx];
        a0_0 += x20_0.x * w20_0;
        a1_0 += x20_0.y * w20_0;
        a2_0 += x20_0.z * w20_0;
        a3_0 += x20_0.w * w20_0;
        let x21_0 = x_tile[21][ty];
        let w21_0 = w_tile[21][tx];
        a0_0 += x21_0.x * w21_0;
        a1_0 += x21_0.y * w21_0;
        a2_0 += x21_0.z * w21_0;
        a3_0 += x21_0.w * w21_0;
        let x22_0 = x_tile[22][ty];
        let w22_0 = w_tile[22][tx];
        a0_0 += x22_0.x * w22_0;
        a1_0 += x22_0.y * w22_0;
        a2_0 += x22_0.z * w22_0;
        a3_0 += x22_0.w * w22_0;
        let x23_0 = x_tile[23][ty];
        let w23_0 = w_tile[23][tx];
        a0_0 += x23_0.x * w23_0;
        a1_0 += x23_0.y * w23_0;
        a2_0 += x23_0.z * w23_0;
        a3_0 += x23_0.w * w23_0;
        let x24_0 = x_tile[24][ty];
        let w24_0 = w_tile[24][tx];
        a0_0 += x24_0.x * w24_0;
        a1_0 += x24_0.y * w24_0;
        a2_0 += x24_0.z * w24_0;
        a3_0 += x24_0.w * w24_0;
        let x25_0 = x_tile[25][ty];
        let w25_0 = w_tile[25][tx];
        a0_0 += x25_0.x * w25_0;
        a1_0 += x25_0.y * w25_0;
        a2_0 += x25_0.z * w25_0;
        a3_0 += x25_0.w * w25_0;
        let x26_0 = x_tile[26][ty];
        let w26_0 = w_tile[26][tx];
        a0_0 += x26_0.x * w26_0;
        a1_0 += x26_0.y * w26_0;
        a2_0 += x26_0.z * w26_0;
        a3_0 += x26_0.w * w26_0;
        let x27_0 = x_tile[27][ty];
        let w27_0 = w_tile[27][tx];
        a0_0 += x27_0.x * w27_0;
        a1_0 += x27_0.y * w27_0;
        a2_0 += x27_0.z * w27_0;
        a3_0 += x27_0.w * w27_0;
        let x28_0 = x_tile[28][ty];
        let w28_0 = w_tile[28][tx];
        a0_0 += x28_0.x * w28_0;
        a1_0 += x28_0.y * w28_0;
        a2_0 += x28_0.z * w28_0;
        a3_0 += x28_0.w * w28_0;
        let x29_0 = x_tile[29][ty];
        let w29_0 = w_tile[29][tx];
        a0_0 += x29_0.x * w29_0;
        a1_0 += x29_0.y * w29_0;
        a2_0 += x29_0.z * w29_0;
        a3_0 += x29_0.w * w29_0;
        let x30_0 = x_tile[30][ty];
        let w30_0 = w_tile[30][tx];
        a0_0 += x30_0.x * w30_0;
        a1_0 += x30_0.y * w30_0;
        a2_0 += x30_0.z * w30_0;
        a3_0 += x30_0.w * w30_0;
        let x31_0 = x_tile[31][ty];
        let w31_0 = w_tile[31][tx];
        a0_0 += x31_0.x * w31_0;
        a1_0 += x31_0.y * w31_0;
        a2_0 += x31_0.z * w31_0;
        a3_0 += x31_0.w * w31_0;
    }

    let out_base = params.out_offset + image * params.out_stride_batch;
    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    var r0 = a0_0;
    var r1 = a1_0;
    var r2 = a2_0;
    var r3 = a3_0;
    for (var i = 0u; i < 4u; i += 1u) {
        let m = tile_m + ty + i * 8u;
        for (var j = 0u; j < 4u; j += 1u) {
            let column = tile_n + tx * 4u + j;
            if (m < pixels && column < params.n_count) {
                let n = channel_group * params.n_per_group + params.n0 + column;
                out[out_base + n * params.out_stride_channel + m] = epilogue(r0.x, image, m, n);
            }
            r0 = r0.yzwx;
        }
        r0 = r1;
        r1 = r2;
        r2 = r3;
    }
}
