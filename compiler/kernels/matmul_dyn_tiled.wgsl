// matmul_dyn_tiled.wgsl -- matrix product of two activations, for GPUs with workgroup memory.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/dynamic.wgsl. Tiles: shared/tiled.wgsl. Rows:
// matmul_tiled.wgsl.
// Each operand is read along k when its k stride is 1, along its other dimension otherwise.

const LANE_COLUMNS: u32 = 1u;
const COLUMN_STEP: u32 = 16u;
const COLUMN_FETCHES: u32 = TILE_K * COLUMN_QUADS / INVOCATIONS;

// Four columns i + 16 j of c, at a term: their first elements, their place in the tile, the term.
struct Columns {
    start: vec4<u32>,
    quad: u32,
    k: u32,
}

alias Fetched = vec4<f32>;

fn columns_at(z: u32, first_column: u32, index: u32) -> Columns {
    let along_k = params.c_stride_k == 1u;
    let quad = select(index % COLUMN_QUADS, index / TILE_K, along_k);
    let n = first_column + quad / 16u * 64u + quad % 16u + vec4<u32>(0u, 16u, 32u, 48u);
    let start = params.c_offset + dot(batch_of(z), params.c_batch_stride.xyz) +
                min(n, vec4<u32>(params.n_count - 1u)) * params.c_stride_n;
    return Columns(start, quad, select(index / COLUMN_QUADS, index % TILE_K, along_k));
}

fn fetched_columns(columns: Columns, k0: u32, before: Fetched, is_first: bool) -> Fetched {
    let k = k0 + columns.k;
    let i = columns.start + min(k, params.k - 1u) * params.c_stride_k;
    return select(vec4<f32>(), vec4<f32>(c[i.x], c[i.y], c[i.z], c[i.w]), k < params.k);
}

fn store_columns(columns: Columns, fetched: Fetched) { place_column(columns.k, columns.quad, fetched); }
