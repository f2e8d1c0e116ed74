// arg_reduce.wgsl -- index of the largest or smallest element along one axis.
//
// Formula:   out[r] = the c of the best x[r, c]; of equal ones the first, or with `last` the last.
//            `smallest` turns the order round; `integer` says that elements are i32.
// Bindings:  2 out: words, dense in r; 3 x: words. A row's place follows from four merged outer axes (outermost first, padded
//            with extent 1); elements of a row are x_stride apart.
// Dispatch:  ceil(rows / (64 / lanes)) workgroups over x and y; `width` is the number of workgroups along x.
//
// `lanes`, a power of two up to 64, invocations share one row. A call takes the columns from first to end, and goes on where the call
// before has stopped.

struct Params {
    rows: u32, columns: u32, lanes: u32, width: u32,
    smallest: u32, last: u32, integer: u32, x_offset: u32,
    extents: vec4<u32>,
    row_strides: vec4<u32>,
    x_stride: u32, first: u32, end: u32, pad_0: u32,
}

const NONE: u32 = 0xffffffffu;

// The best element so far, and where it is.
struct Partial {
    value: u32,
    index: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local & (params.lanes - 1u);
    let row = (group.y * params.width + group.x) * (64u / params.lanes) + local / params.lanes;
    let columns = select(0u, params.columns, row < params.rows);
    let base = params.x_offset + dot(coordinates(row, params.extents), params.row_strides);

    var best = Partial(0u, NONE);
    if (params.first > 0u && lane == 0u && columns > 0u) {
        best.index = out[row];
        if (best.index != NONE) {
            best.value = x[base + best.index * params.x_stride];
        }
    }
    for (var i = params.first + lane; i < min(columns, params.end); i += params.lanes) {
        best = combined(best, Partial(x[base + i * params.x_stride], i));
    }
    best = combined_in_tree(best, local);
    if (lane == 0u && row < params.rows) {
        out[row] = select(best.index, 0u, params.end >= params.columns && best.index == NONE);
    }
}

fn combined(a: Partial, b: Partial) -> Partial {
    if (beats(b.value, b.index, a.value, a.index)) {
        return b;
    }
    return a;
}

// Whether element (value, index) goes before (other, other_index).
fn beats(value: u32, index: u32, other: u32, other_index: u32) -> bool {
    if (index == NONE || other_index == NONE) {
        return index != NONE;
    }
    var less = bitcast<i32>(value) < bitcast<i32>(other);
    var greater = bitcast<i32>(value) > bitcast<i32>(other);
    if (params.integer == 0u) {
        let is_nan = (value & 0x7fffffffu) > 0x7f800000u;
        if (is_nan != ((other & 0x7fffffffu) > 0x7f800000u)) {
            return is_nan;
        }
        less = !is_nan && bitcast<f32>(value) < bitcast<f32>(other);
        greater = !is_nan && bitcast<f32>(value) > bitcast<f32>(other);
    }
    if (less || greater) {
        return less == (params.smallest != 0u);
    }
    return (index > other_index) == (params.last != 0u);
}
