// tiled_columns.wgsl -- what tiled_weights.wgsl has fetched → the columns of tiled.wgsl.

fn store_columns(columns: Columns, fetched: Fetched) {
    for (var step = 0u; step < DEPTH; step += 1u) { // unroll
        column_tile[columns.row * DEPTH + step][columns.quad] = scaled(decoded(fetched.raw, step), fetched.scale);
    }
}
