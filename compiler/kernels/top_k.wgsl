// top_k.wgsl -- indices of the first k elements of every line in the order of their values.
//
// Formula:   out[line, rank(j)] = j for every j with rank(j) < k, where rank(j) is the number of elements that come before
//            element j: a larger (or, with `largest` 0, smaller) value, or an equal one at a lower index.
// Bindings:  2 out, 3 x: words, by lines (rows.wgsl).
//
// Eight elements are compared in a round. Values are compared as integers: the bits of floats, mapped so that they order as the
// floats do, zeros alike. A value that is not a number comes after infinity.

struct Params {
    count: u32, columns: u32, k: u32, width: u32,
    largest: u32, is_float: u32, x_offset: u32, x_stride: u32,
    out_stride: u32, pad_0: u32, pad_1: u32, pad_2: u32,
    extents: vec4<u32>,
    x_strides: vec4<u32>,
    out_strides: vec4<u32>,
}

fn compute(place: u32) {
    let line = place / params.columns;
    let own = place - line * params.columns;
    let at = coordinates(line, params.extents);
    let base = params.x_offset + dot(at, params.x_strides);
    let value = key(x[base + own * params.x_stride]);
    var ranks = vec4<u32>();
    for (var j = 0u; j < params.columns; j += 8u) {
        ranks += before(base, j, own, value) + before(base, j + 4u, own, value);
    }
    let rank = ranks.x + ranks.y + ranks.z + ranks.w;
    if (rank < params.k) { out[dot(at, params.out_strides) + rank * params.out_stride] = own; }
}

// Which of the four elements from j on come before element `own`, which itself does not.
fn before(base: u32, j: u32, own: u32, value: i32) -> vec4<u32> {
    let from_j = vec4<u32>(j, j + 1u, j + 2u, j + 3u);
    let at = select(vec4<u32>(own), from_j, from_j < vec4<u32>(params.columns));
    let places = vec4<u32>(base) + at * params.x_stride;
    let other = vec4<i32>(key(x[places.x]), key(x[places.y]), key(x[places.z]), key(x[places.w]));
    let equal_before = (other == vec4<i32>(value)) & (at < vec4<u32>(own));
    return select(vec4<u32>(), vec4<u32>(1u), (other > vec4<i32>(value)) | equal_before);
}

// Larger keys come first.
fn key(word: u32) -> i32 {
    let magnitude = bitcast<i32>(word & 0x7fffffffu);
    let of_float = select(magnitude, -magnitude, word > 0x7fffffffu);
    let ordered = select(bitcast<i32>(word), of_float, params.is_float != 0u);
    return select(~ordered, ordered, params.largest != 0u);
}
