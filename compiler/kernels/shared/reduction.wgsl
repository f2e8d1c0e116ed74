// reduction.wgsl -- rows of elements over any axes, folded into one each. Linked behind what folds.
//
// Formula:   out[r] = finished(fold_c combined(mapped(x[r, c])))                combine, map and finish by the constants below
// Bindings:  2 out: words, dense in r; 3 x: words. Rows and columns each follow from four merged axes (rows.wgsl).
// Expects:   Partial, what elements are folded into; neutral(); mapped(word, first), combined(a, b, tree), of one tree, and
//            finished(whole, first), where `first` is the first element of the row.

struct Params {
    rows: u32, columns: u32, lanes: u32, width: u32,
    combine: u32, map: u32, finish: u32, x_offset: u32,
    row_extents: vec4<u32>,
    row_strides: vec4<u32>,
    column_extents: vec4<u32>,
    column_strides: vec4<u32>,
}

// Of combine: NaN is left out by GREATEST_NUMBER, and the largest and the smallest of all numbers elsewhere.
const SUM: u32 = 0u;
const GREATEST: u32 = 1u;
const LEAST: u32 = 2u;
const PRODUCT: u32 = 3u;
const SUM_OF_INTEGERS: u32 = 4u;
const GREATEST_INTEGER: u32 = 5u;
const MIN_INTEGER: u32 = 6u;
const PRODUCT_OF_INTEGERS: u32 = 7u;
const GREATEST_NUMBER: u32 = 8u;
// Of map.
const VALUE: u32 = 0u;
const SQUARE: u32 = 1u;
const MAGNITUDE: u32 = 2u;
// Of finish: MEAN divides by the columns.
const WHOLE: u32 = 0u;
const MEAN: u32 = 1u;
const ROOT: u32 = 2u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = lane_of(local);
    let row = row_of(group, local);
    let columns = select(0u, params.columns, row < params.rows);
    let base = params.x_offset + dot(coordinates(row, params.row_extents), params.row_strides);

    let first = x[base];
    var partial = neutral();
    if (params.column_extents.z == 1u) {
        for (var c = lane; c < columns; c += params.lanes) {
            partial = combined(partial, mapped(x[base + c * params.column_strides.w], first), 0u);
        }
    } else {
        for (var c = lane; c < columns; c += params.lanes) {
            let place = base + dot(coordinates(c, params.column_extents), params.column_strides);
            partial = combined(partial, mapped(x[place], first), 0u);
        }
    }
    let whole = combined_in_tree(partial, local, 0u);
    if (lane == 0u && row < params.rows) { out[row] = finished(whole, first); }
}
