// matmul_dyn_tiled.wgsl -- matrix product of two activations, for GPUs with workgroup memory.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/dynamic.wgsl. Tiles: shared/tiled.wgsl.
// Each operand is read along k when its k stride is 1, along its other dimension otherwise.

const LANE_COLUMNS: u32 = 1u;
const COLUMN_STEP: u32 = 16u;
const COLUMN_FETCHES: u32 = TILE_K * COLUMN_QUADS / INVOCATIONS;

// Four rows of a, or columns i + 16 j of c, at a term: their first elements, their place in the tile, the term.
struct Rows {
    start: vec4<u32>,
    quad: u32,
    k: u32,
}

struct Columns {
    start: vec4<u32>,
    quad: u32,
    k: u32,
}

struct Fetched {
    value: vec4<f32>,
}

fn terms_of_sum() -> u32 {
    return params.k;
}

fn rows_at(z: u32, first_row: u32, index: u32, k: u32) -> Rows {
    let along_k = params.a_stride_k == 1u;
    let quad = select(index % ROW_QUADS, index / TILE_K, along_k);
    let m = min(first_row + rows_of(quad), vec4<u32>(params.m - 1u));
    let start = params.a_offset + dot(batch_of(z), params.a_batch_stride.xyz) + m * params.a_stride_m;
    return Rows(start, quad, k + select(index / ROW_QUADS, index % TILE_K, along_k));
}

fn fetched_rows(rows: Rows) -> vec4<f32> {
    let i = rows.start + min(rows.k, params.k - 1u) * params.a_stride_k;
    return select(vec4<f32>(), vec4<f32>(a[i.x], a[i.y], a[i.z], a[i.w]), rows.k < params.k);
}

fn next_rows(rows: Rows) -> Rows {
    return Rows(rows.start, rows.quad, rows.k + TILE_K);
}

fn columns_at(z: u32, first_column: u32, index: u32) -> Columns {
    let along_k = params.c_stride_k == 1u;
    let quad = select(index % COLUMN_QUADS, index / TILE_K, along_k);
    let n = first_column + quad / 16u * 64u + quad % 16u + vec4<u32>(0u, 16u, 32u, 48u);
    let start = params.c_offset + dot(batch_of(z), params.c_batch_stride.xyz) +
                min(n, vec4<u32>(params.n - 1u)) * params.c_stride_n;
    return Columns(start, quad, select(index / COLUMN_QUADS, index % TILE_K, along_k));
}

fn fetched_columns(columns: Columns, k0: u32, before: Fetched, is_first: bool) -> Fetched {
    let k = k0 + columns.k;
    let i = columns.start + min(k, params.k - 1u) * params.c_stride_k;
    return Fetched(select(vec4<f32>(), vec4<f32>(c[i.x], c[i.y], c[i.z], c[i.w]), k < params.k));
}

fn store_columns(columns: Columns, fetched: Fetched) {
    column_tile[columns.k][columns.quad] = fetched.value;
}

fn lanes_along_m() -> bool {
    return params.out_stride_m == 1u && params.out_stride_n != 1u;
}

fn out_base_of(z: u32, part: u32) -> u32 {
    return params.out_offset + dot(batch_of(z), params.out_batch_stride.xyz);
}

fn store(out_base: u32, z: u32, m: u32, column: u32, value: f32) {
    if (m < params.m && column < params.n) {
        out[out_base + m * params.out_stride_m + column * params.out_stride_n] = epilogue(value, z, m, column);
    }
}
