// reduce.wgsl -- sums, means of squares and of integers, products and extrema over any axes.
//
// Formula:   out[r] = finish(fold_c combine(map(x[r, c])))
//            combine, map and finish by the constants below: GREATEST_NUMBER leaves NaN out, MEAN divides by the columns
// Bindings:  2 out: words, dense in r; 3 x: words. Rows and columns each follow from four merged axes (outermost first,
//            padded with extent 1).
// Dispatch:  ceil(rows / (64 / lanes)) workgroups over x and y; `width` is the number of workgroups along x.
// Expects:   shared/rows.wgsl, shared/tree.wgsl.
// Accuracy:  sums are within (columns / lanes + 6) * 2^-24 of the sum of magnitudes. A NaN is the largest and the smallest of all
//            numbers, but for the last maximum, which leaves it out. Means of floats and lengths are reduce_exact.wgsl's.
//
// `lanes`, a power of two up to 64, invocations share one row.

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

const SUM: u32 = 0u;
const GREATEST: u32 = 1u;
const LEAST: u32 = 2u;
const PRODUCT: u32 = 3u;
const SUM_OF_INTEGERS: u32 = 4u;
const GREATEST_INTEGER: u32 = 5u;
const MIN_INTEGER: u32 = 6u;
const PRODUCT_OF_INTEGERS: u32 = 7u;
const GREATEST_NUMBER: u32 = 8u;
const VALUE: u32 = 0u;
const SQUARE: u32 = 1u;
const MAGNITUDE: u32 = 2u;
const WHOLE: u32 = 0u;
const MEAN: u32 = 1u;

alias Partial = u32;

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
    let whole = combined_in_tree(partial, local);
    if (lane == 0u && row < params.rows) {
        out[row] = finished(whole);
    }
}

fn is_nan(word: u32) -> bool {
    return (word & 0x7fffffffu) > 0x7f800000u;
}

fn neutral() -> u32 {
    switch params.combine {
        case GREATEST, GREATEST_NUMBER: { return 0xff800000u; }
        case LEAST: { return 0x7f800000u; }
        case PRODUCT: { return 0x3f800000u; }
        case GREATEST_INTEGER: { return 0x80000000u; }
        case MIN_INTEGER: { return 0x7fffffffu; }
        case PRODUCT_OF_INTEGERS: { return 1u; }
        default: { return 0u; }
    }
}

fn mapped(word: u32) -> u32 {
    if (params.map == VALUE) {
        return word;
    }
    if (params.combine >= SUM_OF_INTEGERS) {
        let i = bitcast<i32>(word);
        return bitcast<u32>(select(abs(i), i * i, params.map == SQUARE));
    }
    let f = bitcast<f32>(word);
    return bitcast<u32>(select(abs(f), f * f, params.map == SQUARE));
}

fn combined(a: u32, b: u32) -> u32 {
    switch params.combine {
        case SUM: { return bitcast<u32>(bitcast<f32>(a) + bitcast<f32>(b)); }
        case GREATEST: { return select(select(bitcast<u32>(max(bitcast<f32>(a), bitcast<f32>(b))), b, is_nan(b)), a, is_nan(a)); }
        case LEAST: { return select(select(bitcast<u32>(min(bitcast<f32>(a), bitcast<f32>(b))), b, is_nan(b)), a, is_nan(a)); }
        case PRODUCT: { return bitcast<u32>(bitcast<f32>(a) * bitcast<f32>(b)); }
        case SUM_OF_INTEGERS: { return a + b; }
        case GREATEST_INTEGER: { return bitcast<u32>(max(bitcast<i32>(a), bitcast<i32>(b))); }
        case MIN_INTEGER: { return bitcast<u32>(min(bitcast<i32>(a), bitcast<i32>(b))); }
        case GREATEST_NUMBER: { return select(select(bitcast<u32>(max(bitcast<f32>(a), bitcast<f32>(b))), a, is_nan(b)), b, is_nan(a)); }
        default: { return a * b; }
    }
}

fn finished(word: u32) -> u32 {
    if (params.finish == WHOLE) {
        return word;
    }
    if (params.combine >= SUM_OF_INTEGERS) {
        return bitcast<u32>(bitcast<i32>(word) / i32(max(params.columns, 1u)));
    }
    return bitcast<u32>(bitcast<f32>(word) / f32(params.columns));
}
