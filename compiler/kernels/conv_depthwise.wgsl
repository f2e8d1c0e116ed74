// conv_depthwise.wgsl -- 2-D depthwise convolution (groups = input channels), NCHW, channel multiplier 1 or more.
//
// Formula, bindings, parameters and linked functions: shared/depthwise.wgsl; filter_quad.
// Dispatch:  (ceil(out_h * out_w / TILE_M), n_count, images).
//
// One invocation owns 4 pixels of one channel, so a quad serves 16 products.

const TILE_M: u32 = 128u;
const LANES: u32 = 32u;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let channel = params.n0 + group.y;
    let x_base = params.x_offset + group.z * params.x_stride_batch
        + (channel / params.multiplier) * params.x_stride_channel;
    let pixels = params.out_h * params.out_w;
    let taps = params.kernel_h * params.kernel_w;
    let m = group.x * TILE_M + local.x;
    let p = min(vec4<u32>(m, m + LANES, m + 2u * LANES, m + 3u * LANES), vec4<u32>(pixels - 1u));
    // Top left input coordinate of each pixel; unsigned wrap-around stands for negative numbers.
    let h = (p / params.out_w) * params.stride_h - params.pad_h;
    let w = (p % params.out_w) * params.stride_w - params.pad_w;
    let corner = x_base + h * params.in_w + w;

    var sum = vec4<f32>();
    var weight = vec4<f32>();
    let tap_end = select(0u, taps, m < pixels);
    var dh = 0u;
    var dw = 0u;
    for (var tap = 0u; tap < tap_end; tap += 1u) {
        if ((tap & 3u) == 0u) { weight = filter_quad(params.weight_base, group.y, taps, tap / 4u); }
        let inside = (h + dh < vec4<u32>(params.in_h)) & (w + dw < vec4<u32>(params.in_w));
        let index = select(vec4<u32>(x_base), corner + dh * params.in_w + dw, inside);
        let value = select(vec4<f32>(), vec4<f32>(x[index.x], x[index.y], x[index.z], x[index.w]), inside);
        sum += value * weight.x;
        weight = weight.yzwx;
        dw += params.dilation_w;
        let row_done = dw >= params.kernel_w * params.dilation_w;
        dw = select(dw, 0u, row_done);
        dh += select(0u, params.dilation_h, row_done);
    }

    let out_base = params.out_offset + group.z * params.out_stride_batch + channel * params.out_stride_channel;
    for (var r = 0u; r < 4u; r += 1u) {
        let pixel = m + r * LANES;
        if (pixel < pixels) { out[out_base + pixel] = epilogue(sum.x, group.z, pixel, channel); }
        sum = sum.yzwx;
    }
}
