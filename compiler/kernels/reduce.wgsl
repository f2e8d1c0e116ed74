// reduce.wgsl -- sums, means of squares and of integers, products and extrema over any axes.
//
// Formula:   out[r] = finish(fold_c combine(map(x[r, c])))
//            combine: 0 sum, 1 maximum, 2 minimum, 3 product of f32; 4 to 7 the same of i32; 8 maximum of the numbers of f32
//            map:     0 value, 1 square, 2 magnitude
//            finish:  0 value, 1 division by the number of columns
// Bindings:  2 out: words, dense in r; 3 x: words. Rows and columns each follow from four merged axes (outermost first,
//            padded with extent 1).
// Dispatch:  ceil(rows / (64 / lanes)) workgroups over x and y; `width` is the number of workgroups along x.
// Expects:   shared/rows.wgsl.
// Accuracy:  sums are within (columns / lanes + 6) * 2^-24 of the sum of magnitudes. A NaN is the largest and the smallest of all
//            numbers, but for the last maximum, which leaves it out. Means of floats and lengths are reduce_exact.wgsl's.
//
// `lanes`, a power of two up to 64, invocations share one row; partial results are combined in a fixed tree.

struct Params {
    rows: u32, columns: u32, lanes: u32, width: u32,
    combine: u32, map: u32, finish: u32, x_offset: u32,
    row_extents: vec4<u32>,
    row_strides: vec4<u32>,
    column_extents: vec4<u32>,
    column_strides: vec4<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<u32>;

var<workgroup> partials: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local & (params.lanes - 1u);
    let row = (group.y * params.width + group.x) * (64u / params.lanes) + local / params.lanes;
    let columns = select(0u, params.columns, row < params.rows);
    let base = params.x_offset + dot(coordinates(row, params.row_extents), params.row_strides);

    var partial = neutral();
    if (params.column_extents.z == 1u) {
        for (var c = lane; c < columns; c += params.lanes) {
            partial = combined(partial, mapped(x[base + c * params.column_strides.w]));
        }
    } else {
        for (var c = lane; c < columns; c += params.lanes) {
            let place = base + dot(coordinates(c, params.column_extents), params.column_strides);
            partial = combined(partial, mapped(x[place]));
        }
    }
    partials[local] = partial;
    workgroupBarrier();
    for (var half = params.lanes >> 1u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            partials[local] = combined(partials[local], partials[local + half]);
        }
        workgroupBarrier();
    }
    if (lane == 0u && row < params.rows) {
        out[row] = finished(partials[local]);
    }
}

fn is_nan(word: u32) -> bool {
    return (word & 0x7fffffffu) > 0x7f800000u;
}

fn neutral() -> u32 {
    switch params.combine {
        case 1u, 8u: { return 0xff800000u; }
        case 2u: { return 0x7f800000u; }
        case 3u: { return 0x3f800000u; }
        case 5u: { return 0x80000000u; }
        case 6u: { return 0x7fffffffu; }
        case 7u: { return 1u; }
        default: { return 0u; }
    }
}

fn mapped(word: u32) -> u32 {
    if (params.map == 0u) {
        return word;
    }
    if (params.combine >= 4u) {
        let i = bitcast<i32>(word);
        return bitcast<u32>(select(abs(i), i * i, params.map == 1u));
    }
    let f = bitcast<f32>(word);
    return bitcast<u32>(select(abs(f), f * f, params.map == 1u));
}

fn combined(a: u32, b: u32) -> u32 {
    switch params.combine {
        case 0u: { return bitcast<u32>(bitcast<f32>(a) + bitcast<f32>(b)); }
        case 1u: { return select(select(bitcast<u32>(max(bitcast<f32>(a), bitcast<f32>(b))), b, is_nan(b)), a, is_nan(a)); }
        case 2u: { return select(select(bitcast<u32>(min(bitcast<f32>(a), bitcast<f32>(b))), b, is_nan(b)), a, is_nan(a)); }
        case 3u: { return bitcast<u32>(bitcast<f32>(a) * bitcast<f32>(b)); }
        case 4u: { return a + b; }
        case 5u: { return bitcast<u32>(max(bitcast<i32>(a), bitcast<i32>(b))); }
        case 6u: { return bitcast<u32>(min(bitcast<i32>(a), bitcast<i32>(b))); }
        case 8u: { return select(select(bitcast<u32>(max(bitcast<f32>(a), bitcast<f32>(b))), a, is_nan(b)), b, is_nan(a)); }
        default: { return a * b; }
    }
}

fn finished(word: u32) -> u32 {
    if (params.finish == 0u) {
        return word;
    }
    if (params.combine >= 4u) {
        return bitcast<u32>(bitcast<i32>(word) / i32(max(params.columns, 1u)));
    }
    return bitcast<u32>(bitcast<f32>(word) / f32(params.columns));
}
