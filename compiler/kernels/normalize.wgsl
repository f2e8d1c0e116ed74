// normalize.wgsl -- layer or root-mean-square normalisation of rows.
//
// Formula:   y[r, c] = (x[r, c] - mean_c x[r]) / sqrt(variance_c x[r] + epsilon)           with centre = 1
//            y[r, c] = x[r, c] / sqrt(mean_c x[r]^2 + epsilon)                             with centre = 0
//            out[r, c] = epilogue(y[r, c], 0, r, c)
// Bindings:  2 out, 3 x: f32. A row's place follows from four merged outer axes (outermost first, padded with extent 1);
//            elements of a row are x_stride and out_stride apart.
// Dispatch:  ceil(rows / (64 / lanes)) workgroups over x and y; `width` is the number of workgroups along x.
// Accuracy:  y is within (columns / lanes + 16) * 2^-24 of a deviation, whatever the mean: elements are taken relative to one
//            of them and then to their mean, whose own rounding the second pass measures and takes out. Squares are added up
//            twice (shared/moments.wgsl), for deviations from 1e-31 to 1e30.
//
// `lanes`, a power of two up to 64, invocations share one row; a workgroup owns 64 / lanes rows.

struct Params {
    rows: u32, columns: u32, lanes: u32, width: u32,
    x_offset: u32, x_stride: u32, out_stride: u32, centre: u32,
    extents: vec4<u32>,
    x_row_strides: vec4<u32>,
    out_row_strides: vec4<u32>,
    epsilon: f32, pad_0: u32, pad_1: u32, pad_2: u32,
    operands: array<vec4<u32>, 4>,
}

const INVOCATIONS: u32 = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = (group.y * params.width + group.x) * (64u / params.lanes) + local / params.lanes;
    let columns = select(0u, params.columns, row < params.rows);
    let place = coordinates(row, params.extents);
    let x_base = params.x_offset + dot(place, params.x_row_strides);
    let out_base = dot(place, params.out_row_strides);

    let shift = rounded_mean(x_base, columns, local);
    let means = moments_about(shift, x_base, columns, local);
    let rest = select(0.0, means.x, params.centre != 0u);

    let is_large = too_large(means.y);
    let scale = select(UP, DOWN, is_large);
    // Scaled before it is squared: `rest` alone has no square in f32, and a device may take products in another order.
    let offset = rest * scale;
    let variance = select(means.y, means.z, is_large) - offset * offset;
    let deviation = deviation_of(variance, params.epsilon * scale * scale);

    let lane = local & (params.lanes - 1u);
    for (var c = lane; c < columns; c += params.lanes) {
        let value = (x[x_base + c * params.x_stride] - shift - rest) * scale / deviation;
        out[out_base + c * params.out_stride] = epilogue(value, 0u, row, c);
    }
}
