// deformable_columns.wgsl -- what a deformable convolution reads: interpolated elements at shifted places.
//
// Formula:   out[b, c * taps + t, r, q] = mask[b, g * taps + t, r, q] * x[b, c, y, z], interpolated between the four elements
//            around it, zeros outside; y = r * step + t_y * dilation - pad + offsets[b, 2 (g * taps + t), r, q], z likewise
//            with the offset behind it; g = c / group_channels.
// Bindings:  2 out: f32, dense; 3 x, 4 offsets, 5 mask: f32, any strides.

struct Params {
    count: u32, planes: u32, width: u32, group_channels: u32,
    rows: u32, columns: u32, x_height: u32, x_width: u32,
    taps_y: u32, taps_x: u32, pad_y: u32, pad_x: u32,
    step_y: u32, step_x: u32, dilation_y: u32, dilation_x: u32,
    x_strides: vec4<u32>,
    offset_strides: vec4<u32>,
    mask_strides: vec4<u32>,
    x_offset: u32, offsets_offset: u32, mask_offset: u32, pad_0: u32,
}

@group(0) @binding(4) var<storage, read_write> offsets: array<f32>;
@group(0) @binding(5) var<storage, read_write> mask: array<f32>;

fn compute(i: u32) {
    let b = i / params.columns;
    let c = b / params.rows;
    let image = c / params.planes;
    let window = vec2<u32>(b - c * params.rows, i - b * params.columns);
    let plane = c - image * params.planes;
    let taps = params.taps_y * params.taps_x;
    let channel = plane / taps;
    let tap = plane - channel * taps;
    let group_tap = (channel / params.group_channels) * taps + tap;

    let shift_at = params.offsets_offset + dot(vec4<u32>(image, 2u * group_tap, window), params.offset_strides);
    let shift = vec2<f32>(offsets[shift_at], offsets[shift_at + params.offset_strides.y]);
    let tap_yx = vec2<u32>(tap / params.taps_x, tap % params.taps_x);
    let start = vec2<f32>(window * vec2<u32>(params.step_y, params.step_x)
        + tap_yx * vec2<u32>(params.dilation_y, params.dilation_x));
    let extents = vec2<f32>(f32(params.x_height), f32(params.x_width));
    // A place far outside must not overflow an integer.
    let at = clamp(start - vec2<f32>(f32(params.pad_y), f32(params.pad_x)) + shift, vec2<f32>(-2.0), extents + 1.0);
    let low = floor(at);
    let part = at - low;
    let base = params.x_offset + image * params.x_strides.x + channel * params.x_strides.y;
    let place = vec2<i32>(low);
    let value = (1.0 - part.x) * ((1.0 - part.y) * element(base, place) + part.y * element(base, place + vec2<i32>(0, 1)))
        + part.x * ((1.0 - part.y) * element(base, place + vec2<i32>(1, 0)) + part.y * element(base, place + 1));
    out[i] = value * mask[params.mask_offset + dot(vec4<u32>(image, group_tap, window), params.mask_strides)];
}

// The element of row and column `at`, 0 outside.
fn element(base: u32, at: vec2<i32>) -> f32 {
    let inside = all(at >= vec2<i32>(0)) && at.x < i32(params.x_height) && at.y < i32(params.x_width);
    if (!inside) { return 0.0; }
    return x[base + u32(at.x) * params.x_strides.z + u32(at.y) * params.x_strides.w];
}
