// matmul_tiled.wgsl -- dense matrix product with streamed texture weights, for GPUs with workgroup memory.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/product.wgsl. Tiles: shared/tiled.wgsl.

// A vector of four rows, at a term: their first elements, their place in the tile, the term.
struct Rows {
    start: vec4<u32>,
    quad: u32,
    k: u32,
}

// Lanes follow the dimension of x that is contiguous.
fn rows_at(z: u32, first_row: u32, index: u32, k: u32) -> Rows {
    let along_k = params.x_stride_k == 1u;
    let quad = select(index % ROW_QUADS, index / TILE_K, along_k);
    let m = min(first_row + rows_of(quad), vec4<u32>(params.m - 1u));
    let start = params.x_offset + dot(batch_of(z), params.x_batch_stride.xyz) + m * params.x_stride_m;
    return Rows(start, quad, k + select(index / ROW_QUADS, index % TILE_K, along_k));
}

// x[row, k], zero past the last k.
fn fetched_rows(rows: Rows) -> vec4<f32> {
    let i = rows.start + min(rows.k, params.k - 1u) * params.x_stride_k;
    return select(vec4<f32>(), vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]), rows.k < params.k);
}

fn next_rows(rows: Rows) -> Rows { return Rows(rows.start, rows.quad, rows.k + TILE_K); }

fn lanes_along_m() -> bool { return params.out_stride_m == 1u && params.out_stride_n != 1u; }
