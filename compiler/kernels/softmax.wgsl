// softmax.wgsl -- softmax or its logarithm along one axis, of rows (rows.wgsl).
//
// Formula:   out[r, c] = exp(x[r, c] - max_c x[r]) / sum_c exp(x[r, c] - max_c x[r]); with log_result its logarithm. A row of equal
//            values, the lowest float included, gives equal shares; a row of -inf gives NaN, and so does one with a NaN or +inf.
// Accuracy:  within (columns / lanes + 8) * 2^-23 of a share; of a logarithm, absolute, plus 2^-24 of x's distance from the largest.

struct Params {
    rows: u32, columns: u32, lanes: u32, width: u32,
    x_offset: u32, x_stride: u32, out_stride: u32, log_result: u32,
    extents: vec4<u32>,
    x_row_strides: vec4<u32>,
    out_row_strides: vec4<u32>,
}

const LOWEST: f32 = -3.4028234e38;
// Of the trees.
const HIGHEST: u32 = 0u;
const SUM: u32 = 1u;

alias Partial = f32;

// The sum, or the larger of two numbers, or NaN.
fn combined(a: f32, b: f32, tree: u32) -> f32 {
    if (tree == SUM) { return a + b; }
    return select(select(max(a, b), b, is_nan_f32(b)), a, is_nan_f32(a));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = lane_of(local);
    let row = row_of(group, local);
    let columns = select(0u, params.columns, row < params.rows);
    let place = coordinates(row, params.extents);
    let x_base = params.x_offset + dot(place, params.x_row_strides);
    let out_base = dot(place, params.out_row_strides);

    var highest = LOWEST;
    for (var c = lane; c < columns; c += params.lanes) {
        highest = combined(highest, x[x_base + c * params.x_stride], HIGHEST);
    }
    highest = combined_in_tree(highest, local, HIGHEST);
    var sum = 0.0;
    for (var c = lane; c < columns; c += params.lanes) { sum += exp_f32(x[x_base + c * params.x_stride] - highest); }
    sum = combined_in_tree(sum, local, SUM);

    let log_sum = log_f32(sum);
    let undefined = (bitcast<u32>(highest) & 0x7fffffffu) >= 0x7f800000u;
    for (var c = lane; c < columns; c += params.lanes) {
        let difference = x[x_base + c * params.x_stride] - highest;
        var result = difference - log_sum;
        if (params.log_result == 0u) { result = exp_f32(difference) / sum; }
        out[out_base + c * params.out_stride] = select(result, float_from_bits(0x7fc00000u), undefined);
    }
}
