// normalize.wgsl -- layer or root-mean-square normalisation of rows.
//
// Formula:   y[r, c] = (x[r, c] - mean_c x[r]) / sqrt(variance_c x[r] + epsilon)           with centre = 1
//            y[r, c] = x[r, c] / sqrt(mean_c x[r]^2 + epsilon)                             with centre = 0
//            out[r, c] = epilogue(y[r, c], 0, r, c)
// Bindings:  2 out, 3 x: f32. A row's place follows from four merged outer axes (outermost first, padded with extent 1);
//            elements of a row are x_stride and out_stride apart.
// Dispatch:  ceil(rows / (64 / lanes)) workgroups over x and y; `width` is the number of workgroups along x.
// Expects:   epilogue(value: f32, batch: u32, m: u32, n: u32) -> f32.
//
// `lanes`, a power of two up to 64, invocations share one row; a workgroup owns 64 / lanes rows. The variance is that of
// the centred values (two passes). Partial results are combined in a fixed tree.

struct Params {
    rows: u32, columns: u32, lanes: u32, width: u32,
    x_offset: u32, x_stride: u32, out_stride: u32, centre: u32,
    extents: vec4<u32>,
    x_row_strides: vec4<u32>,
    out_row_strides: vec4<u32>,
    epsilon: f32, pad_0: u32, pad_1: u32, pad_2: u32,
    operands: array<vec4<u32>, 4>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

var<workgroup> partials: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local & (params.lanes - 1u);
    let row = (group.y * params.width + group.x) * (64u / params.lanes) + local / params.lanes;
    let columns = select(0u, params.columns, row < params.rows);
    let coordinates = row_coordinates(row);
    let x_base = params.x_offset + dot(coordinates, params.x_row_strides);
    let out_base = dot(coordinates, params.out_row_strides);

    var mean = 0.0;
    if (params.centre != 0u) {
        for (var c = lane; c < columns; c += params.lanes) {
            mean += x[x_base + c * params.x_stride];
        }
        partials[local] = mean;
        workgroupBarrier();
        for (var half = params.lanes >> 1u; half > 0u; half = half >> 1u) {
            if (lane < half) {
                partials[local] += partials[local + half];
            }
            workgroupBarrier();
        }
        mean = partials[local - lane] / f32(params.columns);
        workgroupBarrier();
    }

    var sum = 0.0;
    for (var c = lane; c < columns; c += params.lanes) {
        let centred = x[x_base + c * params.x_stride] - mean;
        sum += centred * centred;
    }
    partials[local] = sum;
    workgroupBarrier();
    for (var half = params.lanes >> 1u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            partials[local] += partials[local + half];
        }
        workgroupBarrier();
    }
    let deviation = sqrt(partials[local - lane] / f32(params.columns) + params.epsilon);

    for (var c = lane; c < columns; c += params.lanes) {
        let value = (x[x_base + c * params.x_stride] - mean) / deviation;
        out[out_base + c * params.out_stride] = epilogue(value, 0u, row, c);
    }
}

fn row_coordinates(row: u32) -> vec4<u32> {
    let b = row / params.extents.w;
    let c = b / params.extents.z;
    let d = c / params.extents.y;
    return vec4<u32>(d, c - d * params.extents.y, b - c * params.extents.z, row - b * params.extents.w);
}
