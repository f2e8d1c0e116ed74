// grid_sample.wgsl -- elements of a tensor at the places that a grid gives, interpolated.
//
// Formula:   out[b, c, p] = sum over taps of weight * x[b, c, tap]; the place along each axis is its grid value g in [-1, 1]:
//            ((g + 1) size - 1) / 2, or (g + 1) (size - 1) / 2 with align_corners.
//            mode 0: the nearest element, 1: linear, 2: cubic (two axes only). padding 0: zeros outside, 1: the border, 2:
//            reflected at the border. Cubic interpolation brings each tap inside, the others the place. A place that is no
//            number gives NaN, and counts as far outside where the nearest element is read.
// Bindings:  2 out: f32, dense; 3 x: f32, any strides; 4 grid: f32, any strides. Vectors list the spatial axes innermost
//            first, padded with extent 1; grid coordinate d belongs to axis d.

struct Params {
    count: u32, channels: u32, width: u32, mode: u32,
    padding: u32, align_corners: u32, axes: u32, offset: u32,
    stride_batch: u32, stride_channel: u32, grid_offset: u32, grid_batch: u32,
    extents: vec4<u32>,
    x_extents: vec4<i32>,
    x_strides: vec4<u32>,
    grid_strides: vec4<u32>,
    grid_coordinate: u32, pad_0: u32, pad_1: u32, pad_2: u32,
}

@group(0) @binding(4) var<storage, read_write> grid: array<f32>;

const NEAREST: u32 = 0u;
const LINEAR: u32 = 1u;
const CUBIC: u32 = 2u;
const ZEROS: u32 = 0u;
const BORDER: u32 = 1u;
const REFLECTION: u32 = 2u;

fn compute(i: u32) {
    let place = place_of_output(i);
    let image = place.w / params.channels;
    let base = plane_base(place.w);
    let start = params.grid_offset + image * params.grid_batch + dot(place.xyz, params.grid_strides.xyz);
    let sizes = vec3<f32>(params.x_extents.xyz);
    var value = vec3<f32>(grid[start], grid[start + params.grid_coordinate], 0.0);
    if (params.axes == 3u) { value.z = grid[start + 2u * params.grid_coordinate]; }
    let aligned = params.align_corners != 0u;
    var at = select(((value + 1.0) * sizes - 1.0) / 2.0, (value + 1.0) / 2.0 * (sizes - 1.0), aligned);
    at.z = select(0.0, at.z, params.axes == 3u);
    if (params.mode == NEAREST) { at = round(at); }
    if (any(at < lowest_place()) || any(at > highest_place())) {
        if (params.padding == BORDER && params.mode != CUBIC) {
            at = clamp(at, vec3<f32>(0.0), sizes - 1.0);
        } else if (params.padding == REFLECTION) {
            at = reflected(at);
        }
    }
    // A place far outside must not overflow an integer. Tested on bits: a compiler may assume of floats that none is NaN.
    let unknown = (bitcast<vec3<u32>>(at) & vec3<u32>(0x7fffffffu)) > vec3<u32>(0x7f800000u);
    let undefined = bitcast<f32>(0x7fc00000u | (bitcast<u32>(at.x) & 1u));
    at = select(clamp(at, vec3<f32>(-1e6), vec3<f32>(1e6)), vec3<f32>(-1e6), unknown);
    let floors = floor(at);
    let first = vec3<i32>(floors);
    let part = at - floors;
    if (params.mode == NEAREST) {
        out[i] = element(base, vec3<i32>(at));
        return;
    }
    var sum = 0.0;
    if (params.mode == LINEAR) {
        for (var corner = 0u; corner < (1u << params.axes); corner += 1u) {
            let up = (vec3<u32>(corner) & vec3<u32>(1u, 2u, 4u)) != vec3<u32>(0u);
            let w = select(vec3<f32>(1.0) - part, part, up);
            let weight = w.x * w.y * select(1.0, w.z, params.axes == 3u);
            sum += weight * element(base, first + select(vec3<i32>(0), vec3<i32>(1), up));
        }
        out[i] = select(sum, undefined, any(unknown));
        return;
    }
    var across = cubic(part.x);
    var down = cubic(part.y);
    for (var dy = 0; dy < 4; dy += 1) {
        var row = 0.0;
        for (var dx = 0; dx < 4; dx += 1) {
            row += across.x * element(base, first + vec3<i32>(dx - 1, dy - 1, 0));
            across = across.yzwx;
        }
        sum += down.x * row;
        down = down.yzwx;
    }
    out[i] = select(sum, undefined, any(unknown));
}

// The element at `at`, or what stands for it outside.
fn element(base: u32, at: vec3<i32>) -> f32 {
    let last = params.x_extents.xyz - 1;
    let inside = all(at >= vec3<i32>(0)) && all(at <= last);
    if (!inside && params.padding == ZEROS) { return 0.0; }
    var place = at;
    if (!inside && params.padding == REFLECTION) { place = vec3<i32>(reflected(vec3<f32>(at))); }
    place = clamp(place, vec3<i32>(0), last);
    return x[base + dot(vec3<u32>(place), params.x_strides.xyz)];
}

// Where x begins and ends: in the middle of its outermost elements, or with them.
fn lowest_place() -> vec3<f32> { return vec3<f32>(select(-0.5, 0.0, params.align_corners != 0u)); }

fn highest_place() -> vec3<f32> { return vec3<f32>(params.x_extents.xyz - 1) - lowest_place(); }

// The place inside x that a place becomes when it turns round at every end.
fn reflected(v: vec3<f32>) -> vec3<f32> {
    let low = lowest_place();
    let high = highest_place();
    let range = high - low;
    let below = v < low;
    let outside = select(v - high, low - v, below);
    let turns = trunc(outside / range);
    let rest = outside - turns * range;
    let even = turns - 2.0 * floor(turns / 2.0) < vec3<f32>(0.5);
    let turned = select(high - rest, low + rest, below == even);
    return select(select(turned, v, (v >= low) & (v <= high)), low, range == vec3<f32>(0.0));
}

// Weights of four neighbours at distance `s` from the second.
fn cubic(s: f32) -> vec4<f32> {
    let a = -0.75;
    let far = vec2<f32>(s + 1.0, 2.0 - s);
    let near = vec2<f32>(s, 1.0 - s);
    let outer = ((a * far - 5.0 * a) * far + 8.0 * a) * far - 4.0 * a;
    let inner = ((a + 2.0) * near - (a + 3.0)) * near * near + 1.0;
    return vec4<f32>(outer.x, inner.x, inner.y, outer.y);
}
