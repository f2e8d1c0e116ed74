// pool.wgsl -- maximum or average pooling of one to three spatial axes.
//
// Formula:   out[b, c, p] = max or mean over taps t of x[b, c, p * step + t * dilation - pad], elements outside x left out.
//            mode 0: maximum; 1: mean over the elements inside x; 2: mean over the taps inside x and its padding;
//            3: row-major index (i32) of the first maximum within its channel.
// Accuracy:  a mean is within (taps + 1) * 2^-24 of the mean of magnitudes; the others are exact.
// Bindings:  2 out: words, dense; 3 x: words, any strides. Vectors list the spatial axes innermost first (x, y, z), padded with
//            1 (extents, taps, steps, dilations) and 0 (pads, strides).
//
// A call takes the taps from tap_first to tap_end, and goes on where the call before has stopped: `out` holds the maximum, the
// sum or the index until the last one.

struct Params {
    count: u32, channels: u32, width: u32, mode: u32,
    offset: u32, stride_batch: u32, stride_channel: u32, pad_0: u32,
    extents: vec4<u32>,
    x_extents: vec4<i32>,
    x_strides: vec4<u32>,
    taps: vec4<u32>,
    steps: vec4<i32>,
    dilations: vec4<i32>,
    pads_before: vec4<i32>,
    pads_after: vec4<i32>,
    tap_first: vec4<u32>,
    tap_end: vec4<u32>,
}

const MAX: u32 = 0u;
const AVERAGE: u32 = 1u;
const AVERAGE_PADDED: u32 = 2u;
const MAX_INDEX: u32 = 3u;

// No element so far.
const NONE: u32 = 0xffffffffu;

fn compute(i: u32) {
    let place = place_of_output(i);
    let base = plane_base(place.w);
    let first = vec3<i32>(place.xyz) * params.steps.xyz - params.pads_before.xyz;
    let padded = params.x_extents.xyz + params.pads_after.xyz;

    var lowest = 0xff800000u;
    var highest = bitcast<f32>(lowest);
    var highest_at = vec3<u32>();
    var sum = 0.0;
    var found = false;
    if (any(params.tap_first.xyz > vec3<u32>(0u))) {
        let before = out[i];
        sum = bitcast<f32>(before);
        highest = sum;
        if (params.mode == MAX_INDEX && before != NONE) {
            let row = before / u32(params.x_extents.x);
            let layer = row / u32(params.x_extents.y);
            highest_at = vec3<u32>(before - row * u32(params.x_extents.x), row - layer * u32(params.x_extents.y), layer);
            highest = bitcast<f32>(x[base + dot(highest_at, params.x_strides.xyz)]);
            found = true;
        }
    }
    for (var tz = params.tap_first.z; tz < params.tap_end.z; tz += 1u) {
        for (var ty = params.tap_first.y; ty < params.tap_end.y; ty += 1u) {
            for (var tx = params.tap_first.x; tx < params.tap_end.x; tx += 1u) {
                let at = first + vec3<i32>(vec3<u32>(tx, ty, tz)) * params.dilations.xyz;
                if (all(at >= vec3<i32>(0)) && all(at < params.x_extents.xyz)) {
                    let value = bitcast<f32>(x[base + dot(vec3<u32>(at), params.x_strides.xyz)]);
                    highest_at = select(highest_at, vec3<u32>(at), value > highest || !found);
                    highest = max(highest, value);
                    sum += value;
                    found = true;
                }
            }
        }
    }
    let is_last = all(params.tap_end.xyz == params.taps.xyz);
    var divisor = 1.0;
    if (is_last) {
        let start = select(taps_below(first, vec3<i32>(0)), vec3<u32>(0u), params.mode == AVERAGE_PADDED);
        let taps = taps_below(first, select(params.x_extents.xyz, padded, params.mode == AVERAGE_PADDED)) - start;
        divisor = f32(max(taps.x * taps.y * taps.z, 1u));
    }
    let row = highest_at.z * u32(params.x_extents.y) + highest_at.y;
    let index = row * u32(params.x_extents.x) + highest_at.x;
    let value = bitcast<u32>(select(sum / divisor, highest, params.mode == MAX));
    out[i] = select(value, select(NONE, index, found || is_last), params.mode == MAX_INDEX);
}

// Taps of a window at `first` that lie below `end`, along each axis.
fn taps_below(first: vec3<i32>, end: vec3<i32>) -> vec3<u32> {
    let steps = (end - first + params.dilations.xyz - 1) / params.dilations.xyz;
    return vec3<u32>(clamp(steps, vec3<i32>(0), vec3<i32>(params.taps.xyz)));
}
