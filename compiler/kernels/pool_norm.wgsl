// pool_norm.wgsl -- norms of the windows of one to three spatial axes.
//
// Formula:   out[b, c, p] = (sum over taps t of |x[b, c, p * step + t * dilation - pad]|^power)^(1 / power), x being 0 outside
// Bindings:  2 out: f32, dense; 3 x: f32, any strides. Vectors list the spatial axes innermost first, padded with 1 or 0.
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
    let first = vec3<i32>(place.xyz) * params.steps.xyz - params.pads_before.xyz;
    let taps = params.taps.x * params.taps.y * params.taps.z;
    // The bits of magnitudes order as these do, those of NaN last.
    var most = 0u;
    for (var t = 0u; t < taps; t += 1u) { most = max(most, bitcast<u32>(abs(element(base, first, t)))); }
    let largest = bitcast<f32>(most);
    if (most == 0u || most >= 0x7f800000u) {
        out[i] = largest;
        return;
    }
    var sum = 0.0;
    for (var t = 0u; t < taps; t += 1u) { sum += power(abs(element(base, first, t)) / largest, params.power); }
    out[i] = largest * root(sum, params.power);
}

// Element of a tap, 0 outside x.
fn element(base: u32, first: vec3<i32>, tap: u32) -> f32 {
    let row = tap / params.taps.x;
    let at_tap = vec3<u32>(tap - row * params.taps.x, row % params.taps.y, row / params.taps.y);
    let at = first + vec3<i32>(at_tap) * params.dilations.xyz;
    if (any(at < vec3<i32>(0)) || any(at >= params.x_extents.xyz)) { return 0.0; }
    return x[base + dot(vec3<u32>(at), params.x_strides.xyz)];
}

fn power(value: f32, exponent: u32) -> f32 {
    var product = value;
    for (var i = 1u; i < exponent; i += 1u) { product *= value; }
    return product;
}

// The root of a number from 1 to the number of taps: the device's, and two of Newton's steps.
fn root(value: f32, exponent: u32) -> f32 {
    if (exponent <= 2u) { return select(value, sqrt(value), exponent == 2u); }
    let degree = f32(exponent);
    var guess = exp2(log2(value) / degree);
    for (var i = 0u; i < 2u; i += 1u) { guess -= (guess - value / power(guess, exponent - 1u)) / degree; }
    return guess;
}
