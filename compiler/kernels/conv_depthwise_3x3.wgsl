// conv_depthwise_3x3.wgsl -- depthwise convolution, kernel 3x3, stride 1, dilation 1 (any padding and multiplier).
//
// Formula, bindings, parameters and linked functions: shared/depthwise.wgsl; filter_quad.
// Dispatch:  (ceil(n_count * ceil(out_h / BLOCK) * ceil(out_w / BLOCK) / INVOCATIONS), 1, images).
//
// One invocation owns a block of 4x4 output pixels of one channel and reads each of its 6x6 input pixels once. Taps run upwards
// in every sum.

const INVOCATIONS: u32 = 64u;
const BLOCK: u32 = 4u;
const KERNEL: u32 = 3u;
// Input pixels of a block's row and column.
const WINDOW: u32 = BLOCK + KERNEL - 1u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let blocks_w = (params.out_w + 3u) / BLOCK;
    let blocks = blocks_w * ((params.out_h + 3u) / BLOCK);
    let unit = min(id.x / blocks, params.n_count - 1u);
    let block = id.x % blocks;
    let channel = params.n0 + unit;
    let oh = (block / blocks_w) * BLOCK;
    let ow = (block % blocks_w) * BLOCK;
    // Top left input coordinate; unsigned wrap-around stands for negative numbers.
    let h = oh - params.pad_h;
    let w = ow - params.pad_w;
    let x_base = params.x_offset + id.z * params.x_stride_batch
        + (channel / params.multiplier) * params.x_stride_channel;
    var k: array<vec4<f32>, 3>; // registers
    for (var t = 0u; t < 3u; t += 1u) { k[t] = filter_quad(params.weight_base, unit, KERNEL * KERNEL, t); } // unroll

    var acc: array<vec4<f32>, BLOCK>; // registers
    var in_w: array<bool, WINDOW>; // registers
    for (var c = 0u; c < WINDOW; c += 1u) { in_w[c] = w + c < params.in_w; } // unroll
    for (var r = 0u; r < WINDOW; r += 1u) { // unroll
        let in_h = h + r < params.in_h;
        let row = x_base + (h + r) * params.in_w + w;
        var v: array<f32, WINDOW>; // registers
        for (var c = 0u; c < WINDOW; c += 1u) { v[c] = load(row + c, in_h && in_w[c]); } // unroll
        // The rows of the block that this row of the input is under, the lowest first.
        for (var o = max(r, KERNEL - 1u) - (KERNEL - 1u); o < min(r + 1u, BLOCK); o += 1u) { // unroll
            for (var kw = 0u; kw < KERNEL; kw += 1u) { // unroll
                acc[o] += vec4<f32>(v[kw], v[kw + 1u], v[kw + 2u], v[kw + 3u])
                    * k[((r - o) * KERNEL + kw) / 4u][((r - o) * KERNEL + kw) % 4u];
            }
        }
    }

    if (id.x < params.n_count * blocks) {
        let out_base = params.out_offset + id.z * params.out_stride_batch + channel * params.out_stride_channel;
        var tile: array<vec4<f32>, BLOCK>;
        for (var o = 0u; o < BLOCK; o += 1u) { tile[o] = acc[o]; } // unroll
        for (var i = 0u; i < BLOCK * BLOCK; i += 1u) {
            let r = oh + i / BLOCK;
            let c = ow + i % BLOCK;
            if (r < params.out_h && c < params.out_w) {
                let pixel = r * params.out_w + c;
                out[out_base + pixel] = epilogue(tile[i / BLOCK][i % BLOCK], id.z, pixel, channel);
            }
        }
    }
}

fn load(index: u32, inside: bool) -> f32 { return select(0.0, x[select(0u, index, inside)], inside); }
