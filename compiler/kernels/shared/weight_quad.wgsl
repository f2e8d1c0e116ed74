// weight_quad.wgsl -- one quad of the call's weights, for kernels that read few of them.

// Quad `quad` of row `row`. Rows have `width` quads; DEPTH of them share texels, from texel `base` on.
fn weight_quad(base: u32, row: u32, width: u32, quad: u32) -> vec4<f32> {
    return decoded(weight_texel(base + row / DEPTH * width + quad), row % DEPTH);
}
