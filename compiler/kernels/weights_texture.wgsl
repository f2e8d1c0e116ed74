// weights_texture.wgsl -- linked accessor: reads one RGBA texel of a weight whose pages are scattered over the
// layers of the weight arena.
//
// Formula:   weight_texel(i) = weights[layer = slots[page], row = (i mod page) / 256, column = i mod 256],
//            page = i >> page_shift. `i` counts texels from the first page of this dispatch
//            (the caller adds params.weight_base itself).
// Expects:   `weights: texture_2d_array<f32>` and, in `params`, `page_shift: u32` (log2 of texels per page, >= 8) and
//            `slots: array<vec4<u32>, 16>` (layer of page p in slots[p >> 2][p & 3]).

fn weight_texel(index: u32) -> vec4<f32> {
    let page = index >> params.page_shift;
    let layer = params.slots[page >> 2u][page & 3u];
    let texel = index & ((1u << params.page_shift) - 1u);
    return textureLoad(weights, vec2<u32>(texel & 255u, texel >> 8u), layer, 0);
}
