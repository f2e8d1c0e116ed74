// pool_norm.wgsl -- norms of the windows of one to three spatial axes.
//
// Formula:   out[b, c, p] = (sum over taps t of |x[b, c, p * step + t * dilation - pad]|^power)^(1 / power), elements outside x left
//            out.
// Bindings:  2 out: f32, dense; 3 x: f32, any strides. Vectors list the spatial axes innermost first (x, y, z), padded with
//            1 (extents, taps, steps, dilations) and 0 (pads, strides).
// Accuracy:  powers are of elements over the largest of the window, so within power * (taps + 4) * 2^-24 of the norm.

struct Params {
    count: u32, channels: u32, width: u32, power: u32,
    offset: u32, stride_batch: u32, stride_channel: u32, pad_0: u32,
    extents: vec4<u32>,
    x_extents: vec4<i32>,
    x_strides: vec4<u32>,
    taps: vec4<u32>,
    steps: vec4<i32>,
    dilations: vec4<i32>,
    pads_before: vec4<i32>,
    pads_after: vec4<i32>,
}

fn compute(i: u32) {
    let place = place_of_output(i);
    let base = plane_base(place.w);
    out[i] = norm(base, vec3<i32>(place.xyz) * params.steps.xyz - params.pads_before.xyz);
}

// The norm of the window that starts at a place.
fn norm(base: u32, first: vec3<i32>) -> f32 {
    var largest = 0.0;
    for (var t = 0u; t < params.taps.x * params.taps.y * params.taps.z; t += 1u) {
        let value = abs(element(base, first, t));
        largest = select(largest, value, value > largest || is_nan(value));
    }
    if (largest == 0.0 || (bitcast<u32>(largest) & 0x7f800000u) == 0x7f800000u) {
        return largest;
    }
    var sum = 0.0;
    for (var t = 0u; t < params.taps.x * params.taps.y * params.taps.z; t += 1u) {
        sum += power(abs(element(base, first, t)) / largest, params.power);
    }
    return largest * root(sum, params.power);
}

// Element of a tap, 0 outside x.
fn element(base: u32, first: vec3<i32>, tap: u32) -> f32 {
    let row = tap / params.taps.x;
    let at_tap = vec3<u32>(tap - row * params.taps.x, row % params.taps.y, row / params.taps.y);
    let at = first + vec3<i32>(at_tap) * params.dilations.xyz;
    if (any(at < vec3<i32>(0)) || any(at >= params.x_extents.xyz)) {
        return 0.0;
    }
    return x[base + dot(vec3<u32>(at), params.x_strides.xyz)];
}

fn power(value: f32, exponent: u32) -> f32 {
    var product = value;
    for (var i = 1u; i < exponent; i += 1u) {
        product *= value;
    }
    return product;
}

// The root of a number from 1 to the number of taps: the device's, and two of Newton's steps.
fn root(value: f32, exponent: u32) -> f32 {
    if (exponent == 1u) {
        return value;
    }
    if (exponent == 2u) {
        return sqrt(value);
    }
    let degree = f32(exponent);
    var guess = exp2(log2(value) / degree);
    for (var i = 0u; i < 2u; i += 1u) {
        guess -= (guess - value / power(guess, exponent - 1u)) / degree;
    }
    return guess;
}

fn is_nan(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}
