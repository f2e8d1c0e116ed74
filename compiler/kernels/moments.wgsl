// moments.wgsl -- mean and spread of the parts of few long rows (rows.wgsl), for normalize_parts.wgsl.
//
// Formula:   m = mean_c x[r, c] as a rounded `shift` and the rest of it, d[c] = x[r, c] - shift     over the columns of part p
//            out[r, p] = (shift, mean_c d, mean_c (2^44 d)^2, mean_c (2^-44 d)^2); shift is 0 with centre = 0
// Accuracy:  that of normalize.wgsl.
// Bindings:  2 out: f32, four a part, parts of a row side by side.
// Dispatch:  (parts, rows), `width` being the parts; one has `part` columns, the last what is left. All `lanes` share a part.

struct Params {
    columns: u32, part: u32, lanes: u32, width: u32,
    x_offset: u32, x_stride: u32, centre: u32, pad_0: u32,
    extents: vec4<u32>,
    x_row_strides: vec4<u32>,
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = group.x * params.part;
    let columns = min(params.part, params.columns - first);
    let x_base = params.x_offset + dot(coordinates(group.y, params.extents), params.x_row_strides) + first * params.x_stride;
    let shift = rounded_mean(x_base, columns, local);
    let means = moments_about(shift, x_base, columns, local);
    if (local < 4u) { out[row_of(group, local) * 4u + local] = vec4<f32>(shift, means)[local]; }
}
