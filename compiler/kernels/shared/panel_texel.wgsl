// panel_texel.wgsl -- a texel of a panel of weights, for kernels that stage tiles of them.
//
// Expects:   the texture `weights`; pages.wgsl; TEXELS, those of a panel for one k.

// Texel `base + TEXELS * k`, zero when not inside or past the last k.
fn panel_texel(base: u32, k: u32, inside: bool, k_end: u32) -> vec4<f32> {
    let place = place_of(base + min(k, k_end - 1u) * TEXELS, page_size());
    return select(vec4<f32>(), textureLoad(weights, place.xy, place.z, 0), inside && k < k_end);
}
