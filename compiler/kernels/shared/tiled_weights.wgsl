// tiled_weights.wgsl -- tiles of streamed weights, for tiled.wgsl.
//
// Expects:   weights_of(z), the first texel of the panels that workgroup z reads.

const LANE_COLUMNS: u32 = 4u;
const COLUMN_STEP: u32 = 1u;
const TILE_TEXELS: u32 = TILE_K * COLUMN_QUADS / DEPTH;
const COLUMN_FETCHES: u32 = (TILE_TEXELS + INVOCATIONS - 1u) / INVOCATIONS;

// A texel of every tile: its row in the tile and in panels, its place in the tile, the texels where its panel and its column start.
struct Columns {
    row: u32,
    quad: u32,
    head: u32,
    base: u32,
}

struct Fetched {
    raw: vec4<u32>,
    scale: Scale,
}

fn columns_at(z: u32, first_column: u32, index: u32) -> Columns {
    let texel = index % TILE_TEXELS;
    let last_panel = (params.n_count - 1u) / PANEL;
    let panel = texel / (TILE_K / DEPTH * PANEL_QUADS);
    let head = weights_of(z) + min(first_column / PANEL + panel, last_panel) * panel_texels();
    let quad = index % PANEL_QUADS;
    return Columns(texel / PANEL_QUADS % (TILE_K / DEPTH), panel * PANEL_QUADS + quad, head, head + head_texels(params.k) + quad);
}

fn fetched_columns(columns: Columns, k: u32, before: Fetched, is_first: bool) -> Fetched {
    var fetched = before;
    fetched.raw = panel_texel(columns.base, k / DEPTH + columns.row);
    if (is_first || new_block(k)) {
        fetched.scale = scale_at(columns.head, min(k + columns.row * DEPTH, params.k - 1u), columns.quad % PANEL_QUADS);
    }
    return fetched;
}

fn store_columns(columns: Columns, fetched: Fetched) {
    for (var step = 0u; step < DEPTH; step += 1u) { // unroll
        place_column(columns.row * DEPTH + step, columns.quad, scaled(decoded(fetched.raw, step), fetched.scale));
    }
}
