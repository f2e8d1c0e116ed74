// scatter.wgsl -- combines rows of a matrix with updates, one after the other.
//
// Formula:   for u = 0, 1, ...: out[rows[u], i] = combine(out[rows[u], i], updates[u, i]); rows outside are left alone.
//            mode 0 replaces; of f32: 1 adds, 2 multiplies, 3 minimum, 4 maximum; 5 to 8 the same of i32.
// Accuracy:  within the number of an element's updates * 2^-24 of the sum of magnitudes, or of the product; the others are exact.
// Bindings:  2 out: words, dense (rows, inner), holding the data; 3 rows: i32, `row_stride` apart; 4 updates: words.
//
// Invocation (lane, i) owns the elements i of the rows r with r % lanes == lane, and reads all indices in order, so that an
// element's updates are combined in their order whatever runs side by side.

struct Params {
    count: u32, inner: u32, lanes: u32, width: u32,
    out_rows: u32, updates: u32, mode: u32, row_offset: u32,
    row_stride: u32, update_offset: u32, update_stride: u32, inner_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<storage, read_write> rows: array<i32>;
@group(0) @binding(4) var<storage, read_write> updates: array<u32>;

const REPLACE: u32 = 0u;
const ADD: u32 = 1u;
const MULTIPLY: u32 = 2u;
const LEAST: u32 = 3u;
const GREATEST: u32 = 4u;
const ADD_INTEGERS: u32 = 5u;
const MULTIPLY_INTEGERS: u32 = 6u;
const MIN_INTEGER: u32 = 7u;
const GREATEST_INTEGER: u32 = 8u;

fn compute(place: u32) {
    let lane = place / params.inner;
    let i = place - lane * params.inner;
    for (var u = 0u; u < params.updates; u += 1u) {
        let row = u32(rows[params.row_offset + u * params.row_stride]);
        if (row < params.out_rows && row % params.lanes == lane) {
            let at = row * params.inner + i;
            let value = updates[params.update_offset + u * params.update_stride + i * params.inner_stride];
            out[at] = combined(out[at], value);
        }
    }
}

fn combined(old: u32, update: u32) -> u32 {
    let a = bitcast<f32>(old);
    let b = bitcast<f32>(update);
    let c = bitcast<i32>(old);
    let d = bitcast<i32>(update);
    switch params.mode {
        case ADD: { return bitcast<u32>(a + b); }
        case MULTIPLY: { return bitcast<u32>(a * b); }
        case LEAST: { return bitcast<u32>(min(a, b)); }
        case GREATEST: { return bitcast<u32>(max(a, b)); }
        case ADD_INTEGERS: { return old + update; }
        case MULTIPLY_INTEGERS: { return old * update; }
        case MIN_INTEGER: { return bitcast<u32>(min(c, d)); }
        case GREATEST_INTEGER: { return bitcast<u32>(max(c, d)); }
        default: { return update; }
    }
}
