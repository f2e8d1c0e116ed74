// append.wgsl -- new entries put into a cache along one axis, where it lies.
//
// Formula:   out[b, l, s, i] = update[b, l, t, i] for t = 0 .. length, with s = places[b] + t (with circular: modulo size) where that is
//            inside; every other element of out stays.
// Bindings:  2 out: words, dense (batch, lines, size, inner); 3 update: words, dense (batch, lines, length, inner); 4 places: i32,
//            `place_stride` apart.

struct Params {
    count: u32, inner: u32, width: u32, circular: u32,
    size: u32, length: u32, lines: u32, update_offset: u32,
    places_offset: u32, place_stride: u32, pad_0: u32, pad_1: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<storage, read_write> update: array<u32>;
@group(0) @binding(4) var<storage, read_write> places: array<i32>;

fn compute(e: u32) {
    let row = e / params.inner;
    let line = row / params.length;
    let place = places[params.places_offset + (line / params.lines) * params.place_stride];
    var at = place + i32(row - line * params.length);
    if (params.circular != 0u) {
        let size = i32(params.size);
        at = ((at % size) + size) % size;
    }
    if (at >= 0 && at < i32(params.size)) {
        out[(line * params.size + u32(at)) * params.inner + (e - row * params.inner)] = update[params.update_offset + e];
    }
}
