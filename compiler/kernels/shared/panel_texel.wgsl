// panel_texel.wgsl -- a texel of a panel of weights, for kernels that stage tiles of them.

// Texel `base + PANEL_QUADS * row` before decoding, zero past the last row.
fn panel_texel(base: u32, row: u32, rows: u32) -> vec4<u32> {
    let place = place_of(base + min(row, rows - 1u) * PANEL_QUADS, page_size());
    return select(vec4<u32>(), textureLoad(weights, place.xy, place.z, 0), row < rows);
}
