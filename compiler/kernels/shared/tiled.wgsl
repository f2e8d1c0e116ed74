// tiled.wgsl -- products in tiles that go through workgroup memory. Linked behind what reads the operands and writes the results.
//
// A workgroup of 128 owns TILE_M x TILE_N outputs, an invocation ROW_BLOCKS x COLUMN_BLOCKS blocks of 4 x 4 of them in registers.
// Tiles of TILE_K terms go through workgroup memory as vectors of four rows, i, i + 8, i + 16, i + 24 of every 32, and of four
// columns. The next tile is fetched into registers while this one is multiplied. Terms are added up in ascending order; one past
// the end contributes 0 * 0. A padded vector behind every term avoids bank conflicts.
// Workgroup z * parts + i adds up the i-th `part` terms, a multiple of TILE_K.
// Expects:   Rows, rows_at, fetched_rows, next_rows: four rows at a term; Columns, Fetched, columns_at, fetched_columns,
//            store_columns: what an invocation fetches of a tile of columns; COLUMN_FETCHES of these, four columns
//            LANE_COLUMNS * lane + COLUMN_STEP * j; place_column is for store_columns;
//            lanes_along_m, out_base_of, store.

const INVOCATIONS: u32 = 128u;
const OWN_ROWS: u32 = 4u * ROW_BLOCKS;

var<workgroup> row_tile: array<array<vec4<f32>, ROW_QUADS + 1u>, TILE_K>;
var<workgroup> column_tile: array<array<vec4<f32>, COLUMN_QUADS + 1u>, TILE_K>;

fn place_column(k: u32, quad: u32, value: vec4<f32>) { column_tile[k][quad] = value; }

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first_row = group.x * TILE_M;
    let first_column = group.y * TILE_N;
    let z = group.z / params.parts;
    let part = group.z % params.parts;
    let k_first = part * params.part;
    let k_end = min(k_first + params.part, params.k);

    var row: array<Rows, ROW_FETCHES>; // registers
    var fetched_row: array<vec4<f32>, ROW_FETCHES>; // registers
    for (var f = 0u; f < ROW_FETCHES; f += 1u) { // unroll
        row[f] = rows_at(z, first_row, local + f * INVOCATIONS, k_first);
        fetched_row[f] = fetched_rows(row[f]);
    }
    var column: array<Columns, COLUMN_FETCHES>; // registers
    var fetched_column: array<Fetched, COLUMN_FETCHES>; // registers
    for (var f = 0u; f < COLUMN_FETCHES; f += 1u) { // unroll
        column[f] = columns_at(z, first_column, local + f * INVOCATIONS);
        fetched_column[f] = fetched_columns(column[f], k_first, Fetched(), true);
    }

    // Lanes follow the contiguous dimension of the result.
    let lane_m = select(local / 16u, local % 8u, lanes_along_m());
    let lane_n = select(local % 16u, local / 8u, lanes_along_m());
    var acc: array<array<vec4<f32>, COLUMN_BLOCKS>, OWN_ROWS>; // registers
    for (var k0 = k_first; k0 < k_end; k0 += TILE_K) {
        workgroupBarrier();
        for (var f = 0u; f < ROW_FETCHES; f += 1u) { // unroll
            row_tile[row[f].k % TILE_K][row[f].quad] = fetched_row[f];
        }
        for (var f = 0u; f < COLUMN_FETCHES; f += 1u) { store_columns(column[f], fetched_column[f]); } // unroll
        workgroupBarrier();
        if (k0 + TILE_K < k_end) {
            for (var f = 0u; f < ROW_FETCHES; f += 1u) { // unroll
                row[f] = next_rows(row[f]);
                fetched_row[f] = fetched_rows(row[f]);
            }
            for (var f = 0u; f < COLUMN_FETCHES; f += 1u) { // unroll
                fetched_column[f] = fetched_columns(column[f], k0 + TILE_K, fetched_column[f], false);
            }
        }
        for (var k = 0u; k < TILE_K; k += 1u) { // unroll
            var y: array<vec4<f32>, COLUMN_BLOCKS>; // registers
            for (var b = 0u; b < COLUMN_BLOCKS; b += 1u) { y[b] = column_tile[k][lane_n + b * 16u]; } // unroll
            for (var a = 0u; a < ROW_BLOCKS; a += 1u) { // unroll
                let x4 = row_tile[k][lane_m + a * 8u];
                for (var b = 0u; b < COLUMN_BLOCKS; b += 1u) { // unroll
                    for (var i = 0u; i < 4u; i += 1u) { acc[4u * a + i][b] += x4[i] * y[b]; } // unroll
                }
            }
        }
    }

    let out_base = out_base_of(z, part);
    for (var i = 0u; i < OWN_ROWS; i += 1u) { // rotate
        let m = first_row + i / 4u * 32u + i % 4u * 8u + lane_m;
        for (var b = 0u; b < COLUMN_BLOCKS; b += 1u) { // rotate
            for (var j = 0u; j < 4u; j += 1u) { // rotate
                store(out_base, z, m, first_column + b * 64u + lane_n * LANE_COLUMNS + j * COLUMN_STEP, acc[i][b][j]);
            }
        }
    }
}
