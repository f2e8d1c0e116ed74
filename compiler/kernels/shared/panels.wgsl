// panels.wgsl -- panels of streamed weights (product.wgsl), for sums of params.k terms.

// Columns of a panel; its quads, the texels of a row.
const PANEL: u32 = 32u;
const PANEL_QUADS: u32 = PANEL / 4u;

fn panel_rows() -> u32 { return (params.k + DEPTH - 1u) / DEPTH; }

// Texels of a panel.
fn panel_texels() -> u32 { return head_texels(params.k) + panel_rows() * PANEL_QUADS; }

// The texel of a row of a panel before decoding, zero past the last row; `first` is that of the first row.
fn panel_texel(first: u32, row: u32) -> vec4<u32> {
    let texel = weight_texel(first + min(row, panel_rows() - 1u) * PANEL_QUADS);
    return select(vec4<u32>(), texel, row < panel_rows());
}
