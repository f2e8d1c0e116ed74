// pages.wgsl -- the arena of weights, and where a texel of the call's weights lies in it: its page by the page size, the page's
// layer by the table of slots. A texel as it is read, and decoded a quad of it.

@group(0) @binding(1) var weights: texture_2d_array<u32>;

// Texels in one row of a page.
const PAGE_WIDTH: u32 = 256u;

// Shift and mask that take the number of a texel apart. Read in front of loops.
fn page_size() -> vec2<u32> { return vec2<u32>(params.page_shift, (1u << params.page_shift) - 1u); }

// Column, row and layer.
fn place_of(texel: u32, size: vec2<u32>) -> vec3<u32> {
    let page = texel >> size.x;
    let in_page = texel & size.y;
    return vec3<u32>(in_page & (PAGE_WIDTH - 1u), in_page / PAGE_WIDTH, params.slots[page >> 2u][page & 3u]);
}

// A texel before decoding.
fn weight_texel(texel: u32) -> vec4<u32> {
    let place = place_of(texel, page_size());
    return textureLoad(weights, place.xy, place.z, 0);
}

// Quad `quad` of row `row`. Rows have `width` quads; DEPTH of them share texels, from texel `base` on.
fn weight_quad(base: u32, row: u32, width: u32, quad: u32) -> vec4<f32> {
    return decoded(weight_texel(base + row / DEPTH * width + quad), row % DEPTH);
}
