// pad.wgsl -- padding with a value, the mirrored tensor or its edge.
//
// Formula:   out[i] = x[i - before] inside; outside, mode 0: fill, 1: the element mirrored at the edge, 2: the nearest one.
// Bindings:  2 out: words, dense; 3 x: words, any strides. Axes innermost first, extents and `before` padded with 1 and 0.
// Mirroring reaches at most once over the tensor: pads are smaller than the axis.

struct Params {
    count: u32, rank: u32, width: u32, mode: u32,
    extents: array<vec4<u32>, 2>,
    x_extents: array<vec4<i32>, 2>,
    before: array<vec4<i32>, 2>,
    strides: array<vec4<u32>, 2>,
    offset: u32, fill: u32, pad_0: u32, pad_1: u32,
}

const CONSTANT: u32 = 0u;
const REFLECT: u32 = 1u;
const EDGE: u32 = 2u;

fn compute(i: u32) {
    let at = coordinates_of(i);
    let a = vec4<i32>(at.near) - params.before[0];
    let b = vec4<i32>(at.far) - params.before[1];
    let inside_a = all(a >= vec4<i32>(0)) && all(a < params.x_extents[0]);
    let inside_b = all(b >= vec4<i32>(0)) && all(b < params.x_extents[1]);
    if (params.mode == CONSTANT && !(inside_a && inside_b)) {
        out[i] = params.fill;
        return;
    }
    let place_a = vec4<u32>(reflected(a, params.x_extents[0]));
    let place_b = vec4<u32>(reflected(b, params.x_extents[1]));
    out[i] = x[params.offset + dot(place_a, params.strides[0]) + dot(place_b, params.strides[1])];
}

// The coordinates within [0, extent) that stand for `c`.
fn reflected(c: vec4<i32>, extent: vec4<i32>) -> vec4<i32> {
    let last = extent - 1;
    let mirrored = last - abs(last - abs(c));
    return clamp(select(c, mirrored, params.mode == REFLECT), vec4<i32>(0), last);
}
