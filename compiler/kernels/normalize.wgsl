// normalize.wgsl -- layer or root-mean-square normalisation of rows (rows.wgsl).
//
// Formula:   y[r, c] = (x[r, c] - mean_c x[r]) / sqrt(variance_c x[r] + epsilon)           with centre = 1
//            y[r, c] = x[r, c] / sqrt(mean_c x[r]^2 + epsilon)                             with centre = 0
//            out[r, c] = epilogue(y[r, c], 0, r, c)
// Accuracy:  y is within (columns / lanes + 16) * 2^-24 of a deviation, whatever the mean: elements are taken relative to one
//            of them and then to their mean, whose own rounding the second pass measures and takes out.

struct Params {
    rows: u32, columns: u32, lanes: u32, width: u32,
    x_offset: u32, x_stride: u32, out_stride: u32, centre: u32,
    extents: vec4<u32>,
    x_row_strides: vec4<u32>,
    out_row_strides: vec4<u32>,
    epsilon: f32, pad_0: u32, pad_1: u32, pad_2: u32,
    operands: array<vec4<u32>, 4>,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = row_of(group, local);
    let columns = select(0u, params.columns, row < params.rows);
    let x_base = params.x_offset + dot(coordinates(row, params.extents), params.x_row_strides);
    let shift = rounded_mean(x_base, columns, local);
    let means = moments_about(shift, x_base, columns, local);
    let rest = select(0.0, means.x, params.centre != 0u);
    // Scaled before it is squared: `rest` alone has no square in f32, and a device may take products in another order.
    let offset = rest * vec2<f32>(UP, DOWN);
    write_normalized(row, lane_of(local), columns, params.lanes, shift, rest, means.yz - offset * offset);
}
