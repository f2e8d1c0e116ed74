// arg_reduce.wgsl -- index of the largest or smallest element along one axis, of rows (rows.wgsl).
//
// Formula:   out[r] = the c of the best x[r, c]; of equal ones the first, or with `last` the last.
//            `smallest` turns the order round; `integer` says that elements are i32.
// Bindings:  2 out: words, dense in r; 3 x: words.
//
// A call takes the columns from first to end, and goes on where the call before has stopped.

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
    key: i32,
    index: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = lane_of(local);
    let row = row_of(group, local);
    let columns = select(0u, params.columns, row < params.rows);
    let base = params.x_offset + dot(coordinates(row, params.extents), params.row_strides);

    var best = Partial(0, NONE);
    if (params.first > 0u && lane == 0u && columns > 0u) {
        best.index = out[row];
        if (best.index != NONE) { best.key = key(x[base + best.index * params.x_stride]); }
    }
    for (var i = params.first + lane; i < min(columns, params.end); i += params.lanes) {
        best = combined(best, Partial(key(x[base + i * params.x_stride]), i), 0u);
    }
    best = combined_in_tree(best, local, 0u);
    if (lane == 0u && row < params.rows) {
        out[row] = select(best.index, 0u, params.end >= params.columns && best.index == NONE);
    }
}

fn combined(a: Partial, b: Partial, tree: u32) -> Partial {
    let goes_before = (b.index > a.index) == (params.last != 0u);
    if (a.index == NONE || (b.index != NONE && (b.key > a.key || (b.key == a.key && goes_before)))) { return b; }
    return a;
}

// Larger keys go first. Those of floats order as these do, zeros alike; NaN goes before all.
fn key(word: u32) -> i32 {
    let magnitude = bitcast<i32>(word & 0x7fffffffu);
    let of_float = select(magnitude, -magnitude, word > 0x7fffffffu);
    let ordered = select(of_float, bitcast<i32>(word), params.integer != 0u);
    let is_nan = params.integer == 0u && magnitude > 0x7f800000;
    return select(select(ordered, ~ordered, params.smallest != 0u), 0x7fffffff, is_nan);
}
