// fold.wgsl -- sum of overlapping windows: the second half of a transposed convolution.
//
// Formula:   out[b, c, p] = sum over taps t, in ascending order, of x[b, c, t, q] where q * step + t * dilation - pad = p;
//            taps for which no such q lies inside x are left out.
// Accuracy:  within the number of taps that reach an element * 2^-24 of the sum of magnitudes.
// Bindings:  2 out: f32, dense; 3 x: f32, any strides. Vectors list the spatial axes innermost first (x, y, z), padded with
//            1 (extents, taps, steps, dilations) and 0 (pads, strides).
//
// A call takes the taps from tap_first to tap_end, and goes on where the call before has stopped.

struct Params {
    count: u32, channels: u32, width: u32, offset: u32,
    stride_batch: u32, stride_channel: u32, pad_0: u32, pad_1: u32,
    extents: vec4<u32>,
    x_extents: vec4<i32>,
    x_strides: vec4<u32>,
    tap_strides: vec4<u32>,
    steps: vec4<i32>,
    dilations: vec4<i32>,
    pads: vec4<i32>,
    tap_first: vec4<u32>,
    tap_end: vec4<u32>,
}

fn compute(i: u32) {
    let place = place_of_output(i);
    let base = plane_base(place.w);
    let first = vec3<i32>(place.xyz) + params.pads.xyz;

    var sum = 0.0;
    if (any(params.tap_first.xyz > vec3<u32>(0u))) { sum = out[i]; }
    for (var tz = params.tap_first.z; tz < params.tap_end.z; tz += 1u) {
        for (var ty = params.tap_first.y; ty < params.tap_end.y; ty += 1u) {
            for (var tx = params.tap_first.x; tx < params.tap_end.x; tx += 1u) {
                let tap = vec3<u32>(tx, ty, tz);
                let scaled = first - vec3<i32>(tap) * params.dilations.xyz;
                let q = scaled / params.steps.xyz;
                if (all(scaled >= vec3<i32>(0)) && all(q * params.steps.xyz == scaled) && all(q < params.x_extents.xyz)) {
                    sum += x[base + dot(tap, params.tap_strides.xyz) + dot(vec3<u32>(q), params.x_strides.xyz)];
                }
            }
        }
    }
    out[i] = sum;
}
