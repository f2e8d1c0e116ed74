// tiles.wgsl -- the tiles of tiled.wgsl and tiled_cooperative.wgsl, which say how many INVOCATIONS share them.

// Blocks of 32 rows and of 64 columns, and terms of a tile.
const ROW_BLOCKS: u32 = 1u;
const COLUMN_BLOCKS: u32 = 1u;
const TILE_K: u32 = 32u;
const TILE_M: u32 = 32u * ROW_BLOCKS;
const TILE_N: u32 = 64u * COLUMN_BLOCKS;
const ROW_QUADS: u32 = 8u * ROW_BLOCKS;
const COLUMN_QUADS: u32 = 16u * COLUMN_BLOCKS;
const ROW_FETCHES: u32 = TILE_K * ROW_QUADS / INVOCATIONS;

// The four rows of vector `quad`.
fn rows_of(quad: u32) -> vec4<u32> { return quad / 8u * 32u + quad % 8u + vec4<u32>(0u, 8u, 16u, 24u); }
