// moments.wgsl -- mean and spread of the parts of few long rows, for normalize_parts.wgsl.
//
// Formula:   m = mean_c x[r, c] as a rounded `shift` and the rest of it, d[c] = x[r, c] - shift     over the columns of part p
//            out[r, p] = (shift, mean_c d, mean_c (2^44 d)^2, mean_c (2^-44 d)^2); shift is 0 with centre = 0
// Accuracy:  that of normalize.wgsl.
// Bindings:  2 out: f32, four a part, parts of a row side by side; 3 x: f32. A row's place follows from four merged outer axes
//            (outermost first, padded with extent 1); elements of a row are x_stride apart.
// Dispatch:  (parts, rows); a part is `part` columns, the last one what is left.
//
// `lanes`, which is 256, invocations share a part.

struct Params {
    columns: u32, part: u32, parts: u32, centre: u32,
    x_offset: u32, x_stride: u32, lanes: u32, pad_0: u32,
    extents: vec4<u32>,
    x_row_strides: vec4<u32>,
}

const INVOCATIONS: u32 = 256u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let columns = min(params.part, params.columns - group.x * params.part);
    let x_base = params.x_offset + dot(coordinates(group.y, params.extents), params.x_row_strides) +
                 group.x * params.part * params.x_stride;

    let shift = rounded_mean(x_base, columns, local);
    let means = moments_about(shift, x_base, columns, local);
    if (local == 0u) {
        let at = (group.y * params.parts + group.x) * 4u;
        out[at] = shift;
        out[at + 1u] = means.x;
        out[at + 2u] = means.y;
        out[at + 3u] = means.z;
    }
}
