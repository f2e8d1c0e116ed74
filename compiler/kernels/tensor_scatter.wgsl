// tensor_scatter.wgsl -- a cache with new entries along one axis, at a place of its own for every batch entry.
//
// Formula:   out[b, l, s, i] = update[b, l, t, i] where t = s - places[b] (with circular: modulo size) is in 0 .. length, else
//            cache[b, l, s, i].
// Bindings:  2 out: words, dense (batch, lines, size, inner); 3 cache: words, dense, the same; 4 update: words, dense (batch,
//            lines, length, inner); 5 places: i32, `place_stride` apart.
// Dispatch:  ceil(count / 64) workgroups over x and y; `width` is the number of invocations along x.
// Expects:   nothing.

struct Params {
    count: u32, inner: u32, width: u32, circular: u32,
    size: u32, length: u32, lines: u32, cache_offset: u32,
    update_offset: u32, places_offset: u32, place_stride: u32, pad_0: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<storage, read_write> cache: array<u32>;
@group(0) @binding(4) var<storage, read_write> update: array<u32>;
@group(0) @binding(5) var<storage, read_write> places: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let e = id.y * params.width + id.x;
    if (e >= params.count) {
        return;
    }
    let row = e / params.inner;
    let line = row / params.size;
    let place = places[params.places_offset + (line / params.lines) * params.place_stride];
    var at = i32(row - line * params.size) - place;
    if (params.circular != 0u) {
        let size = i32(params.size);
        at = ((at % size) + size) % size;
    }
    if (at >= 0 && at < i32(params.length)) {
        let source = (line * params.length + u32(at)) * params.inner + (e - row * params.inner);
        out[e] = update[params.update_offset + source];
    } else {
        out[e] = cache[params.cache_offset + e];
    }
}
