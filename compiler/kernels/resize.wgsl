// resize.wgsl -- resampling of up to four axes by tables of taps and weights.
//
// Formula:   out[i] = sum over the taps of every axis, innermost axis fastest, of product_d weight_d * x[tap]; fill where an
//            axis has a tap of -1. With `copies`, every axis has one tap and words are copied.
// Accuracy:  within (taps + 4) * 2^-24 of the sum of magnitudes of what the weights, as they are stored, multiply.
// Bindings:  2 out: words, dense; 3 x: words, any strides; 4 table: for every output coordinate of an axis, from the word
//            tables[axis] on, windows[axis] pairs of a tap (i32) and its weight (f32).
//
// Taps are computed ahead of time: a division on the device might round to the wrong element. Axes innermost first, padded with
// extent 1 and window 1.
// A call takes the taps from tap_first to tap_end, and goes on where the call before has stopped.

struct Params {
    count: u32, copies: u32, width: u32, offset: u32,
    fill: u32, pad_0: u32, pad_1: u32, pad_2: u32,
    extents: vec4<u32>,
    strides: vec4<u32>,
    tables: vec4<u32>,
    windows: vec4<u32>,
    tap_first: vec4<u32>,
    tap_end: vec4<u32>,
}

@group(0) @binding(4) var<storage, read_write> table: array<u32>;

fn compute(i: u32) {
    let b = i / params.extents.x;
    let c = b / params.extents.y;
    let d = c / params.extents.z;
    let coordinate = vec4<u32>(i - b * params.extents.x, b - c * params.extents.y, c - d * params.extents.z, d);
    let entry = params.tables + 2u * params.windows * coordinate;
    let first = vec4<u32>(table[entry.x], table[entry.y], table[entry.z], table[entry.w]);
    if (any(first == vec4<u32>(0xffffffffu))) {
        out[i] = params.fill;
        return;
    }
    if (params.copies != 0u) {
        out[i] = x[params.offset + dot(first, params.strides)];
        return;
    }
    var sum = 0.0;
    if (any(params.tap_first > vec4<u32>(0u))) { sum = bitcast<f32>(out[i]); }
    for (var w = params.tap_first.w; w < params.tap_end.w; w += 1u) {
        let at_w = params.offset + table[entry.w + 2u * w] * params.strides.w;
        let weight_w = bitcast<f32>(table[entry.w + 2u * w + 1u]);
        for (var z = params.tap_first.z; z < params.tap_end.z; z += 1u) {
            let at_z = at_w + table[entry.z + 2u * z] * params.strides.z;
            let weight_z = weight_w * bitcast<f32>(table[entry.z + 2u * z + 1u]);
            for (var y = params.tap_first.y; y < params.tap_end.y; y += 1u) {
                let at_y = at_z + table[entry.y + 2u * y] * params.strides.y;
                let weight_y = weight_z * bitcast<f32>(table[entry.y + 2u * y + 1u]);
                for (var k = params.tap_first.x; k < params.tap_end.x; k += 1u) {
                    let at = at_y + table[entry.x + 2u * k] * params.strides.x;
                    sum += weight_y * bitcast<f32>(table[entry.x + 2u * k + 1u]) * bitcast<f32>(x[at]);
                }
            }
        }
    }
    out[i] = bitcast<u32>(sum);
}
