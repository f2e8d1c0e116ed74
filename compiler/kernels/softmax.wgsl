// softmax.wgsl -- softmax or its logarithm along one axis.
//
// Formula:   out[r, c] = exp(x[r, c] - max_c x[r]) / sum_c exp(x[r, c] - max_c x[r]); with log_result its logarithm.
// Bindings:  2 out, 3 x: f32. A row's place follows from four merged outer axes (outermost first, padded with extent 1);
//            elements of a row are x_stride and out_stride apart.
// Dispatch:  ceil(rows / (64 / lanes)) workgroups over x and y; `width` is the number of workgroups along x.
//
// `lanes`, a power of two up to 64, invocations share one row; a workgroup owns 64 / lanes rows. Partial results are
// combined in a fixed tree. A row of equal values, the lowest float included, gives equal shares; a row of -inf gives NaN, and
// so does one with a NaN or +inf.
// Accuracy:  within (columns / lanes + 8) * 2^-23 of a share; of a logarithm, absolute, plus 2^-24 of x's distance from the largest.

struct Params {
    rows: u32, columns: u32, lanes: u32, width: u32,
    x_offset: u32, x_stride: u32, out_stride: u32, log_result: u32,
    extents: vec4<u32>,
    x_row_strides: vec4<u32>,
    out_row_strides: vec4<u32>,
}

const LOWEST: f32 = -3.4028234e38;

var<workgroup> partials: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local & (params.lanes - 1u);
    let row = (group.y * params.width + group.x) * (64u / params.lanes) + local / params.lanes;
    let columns = select(0u, params.columns, row < params.rows);
    let place = coordinates(row, params.extents);
    let x_base = params.x_offset + dot(place, params.x_row_strides);
    let out_base = dot(place, params.out_row_strides);

    var highest = LOWEST;
    for (var c = lane; c < columns; c += params.lanes) {
        highest = larger(highest, x[x_base + c * params.x_stride]);
    }
    partials[local] = highest;
    workgroupBarrier();
    for (var half = params.lanes >> 1u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            partials[local] = larger(partials[local], partials[local + half]);
        }
        workgroupBarrier();
    }
    highest = partials[local - lane];
    workgroupBarrier();

    var sum = 0.0;
    for (var c = lane; c < columns; c += params.lanes) {
        sum += exp_f32(x[x_base + c * params.x_stride] - highest);
    }
    partials[local] = sum;
    workgroupBarrier();
    for (var half = params.lanes >> 1u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            partials[local] += partials[local + half];
        }
        workgroupBarrier();
    }
    sum = partials[local - lane];

    let log_sum = log_f32(sum);
    let undefined = (bitcast<u32>(highest) & 0x7fffffffu) >= 0x7f800000u;
    for (var c = lane; c < columns; c += params.lanes) {
        let difference = x[x_base + c * params.x_stride] - highest;
        var result = 0.0;
        if (params.log_result != 0u) {
            result = difference - log_sum;
        } else {
            result = exp_f32(difference) / sum;
        }
        out[out_base + c * params.out_stride] = select(result, float_from_bits(0x7fc00000u), undefined);
    }
}

// The larger of two numbers, or NaN.
fn larger(a: f32, b: f32) -> f32 {
    return select(select(max(a, b), b, is_nan_f32(b)), a, is_nan_f32(a));
}
