// filter.wgsl -- the taps of a filter of one channel, four at a time.
//
// Floats are a row of quads a filter (pages.wgsl). Blocks are panels as products have them, with filters as columns and taps
// as k: a word of a texel has taps 4 t to 4 t + 3 of a filter, or some of 8.

// Taps 4 * quad to 4 * quad + 3 of filter `filter_index` of the call; what is past `taps` has no meaning.
fn filter_quad(base: u32, filter_index: u32, taps: u32, quad: u32) -> vec4<f32> {
    let head = head_texels(taps);
    if (head == 0u) { return weight_quad(base, filter_index, (taps + 3u) / 4u, quad); }
    let rows = (taps + DEPTH - 1u) / DEPTH;
    let panel = base + filter_index / 32u * (head + rows * 8u);
    let columns = (filter_index % 32u) / 4u;
    let column = filter_index % 4u;
    // Blocks have a multiple of four taps.
    let tap = 4u * quad;
    let scale = scale_at(panel, tap, columns);
    let raw = weight_texel(panel + head + tap / DEPTH * 8u + columns);
    let a = scaled(decoded(raw, tap % DEPTH), scale);
    let b = scaled(decoded(raw, (tap + 1u) % DEPTH), scale);
    let c = scaled(decoded(raw, (tap + 2u) % DEPTH), scale);
    let d = scaled(decoded(raw, (tap + 3u) % DEPTH), scale);
    return vec4<f32>(a[column], b[column], c[column], d[column]);
}
