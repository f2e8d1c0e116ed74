// reduce_exact.wgsl -- means and lengths of floats over any axes, where one plain sum is not enough.
//
// Formula:   out[r] = mean_c x[r, c], or with `is_length` sqrt(sum_c x[r, c]^2)
// Bindings:  2 out: f32, dense in r; 3 x: f32. Rows and columns each follow from four merged axes (outermost first, padded with
//            extent 1).
// Dispatch:  ceil(rows / (64 / lanes)) workgroups over x and y; `width` is the number of workgroups along x.
// Expects:   shared/rows.wgsl, shared/tree.wgsl.
// Accuracy:  a mean has two sums, of the elements and of what they differ from the first one: where the second is smaller, it is
//            within (columns / lanes + 6) * 2^-24 of the mean distance from the first element, plus 2^-24 of itself; else within
//            as much of the mean magnitude. A length has two sums of squares, of elements times 2^44 and 2^-44, of which one is
//            within f32 for lengths from 1e-31 to 1e31, and is within (columns / lanes + 8) * 2^-24 of itself. Of nothing, a mean
//            is NaN.
//
// `lanes`, a power of two up to 64, invocations share one row. All sums are one
// loop and one tree: a CPU adapter walks through every branch with its barriers, taken or not.

struct Params {
    rows: u32, columns: u32, lanes: u32, width: u32,
    is_length: u32, pad_0: u32, pad_1: u32, x_offset: u32,
    row_extents: vec4<u32>,
    row_strides: vec4<u32>,
    column_extents: vec4<u32>,
    column_strides: vec4<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

const UP: f32 = 17592186044416.0;
const DOWN: f32 = 5.684341886080802e-14;

alias Partial = vec2<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local & (params.lanes - 1u);
    let row = (group.y * params.width + group.x) * (64u / params.lanes) + local / params.lanes;
    let columns = select(0u, params.columns, row < params.rows);
    let base = params.x_offset + dot(coordinates(row, params.row_extents), params.row_strides);

    let first = x[base];
    var sums = vec2<f32>();
    if (params.column_extents.z == 1u) {
        for (var c = lane; c < columns; c += params.lanes) {
            sums += terms(x[base + c * params.column_strides.w], first);
        }
    } else {
        for (var c = lane; c < columns; c += params.lanes) {
            sums += terms(x[base + dot(coordinates(c, params.column_extents), params.column_strides)], first);
        }
    }
    let whole = combined_in_tree(sums, local);
    if (lane == 0u && row < params.rows) {
        out[row] = select(mean(whole, first), length_of(whole), params.is_length != 0u);
    }
}

// What an element adds to the sums.
fn terms(value: f32, first: f32) -> vec2<f32> {
    let scaled = value * vec2<f32>(UP, DOWN);
    return select(vec2<f32>(value, value - first), scaled * scaled, params.is_length != 0u);
}

fn mean(sums: vec2<f32>, first: f32) -> f32 {
    let means = sums / f32(params.columns);
    let better = select(means.x, first + means.y, abs(means.y) < abs(means.x));
    return select(better, bitcast<f32>(params.columns | 0x7fc00000u), params.columns == 0u);
}

fn length_of(sums: vec2<f32>) -> f32 {
    let is_large = (bitcast<u32>(sums.x) & 0x7f800000u) == 0x7f800000u;
    return select(sqrt(sums.x) * DOWN, sqrt(sums.y) * UP, is_large);
}

fn combined(a: Partial, b: Partial) -> Partial {
    return a + b;
}
