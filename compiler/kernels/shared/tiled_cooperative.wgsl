// tiled_cooperative.wgsl -- the products of tiled.wgsl on units that multiply matrices of 16 x 16 halves, added up as f32.
//
// Takes the place of tiled.wgsl where a device has such units: the same tiles, so the same parameters, bindings
// and workgroups. Of the eight subgroups of 32 lanes each owns an eighth of the outputs, in matrices of 16 x 16. Weights are halves
// already; rows are made halves times a power of two for which the largest so far of the 32 rows of a block is between 2^14 and 2^15, so
// that none overflows, and sums are rescaled, exactly, when a larger one comes. An element is rounded to 11 bits, and one that is less by
// more than 2^29 than the largest of its block to fewer. Where rows are bounded, calls know such a power beforehand (x_scale), and none is
// looked for. Terms are added up in an order that the device defines, the same in every run.
// Expects:   what tiled.wgsl expects.

// Whether x_scale says what rows become halves by.
const SCALE_IS_GIVEN: u32 = 0u;
const INVOCATIONS: u32 = 256u;
// Vectors of four from a term to the next: 16 bytes more than it has avoid bank conflicts.
const ROW_STEP: u32 = ROW_QUADS + 2u;
const COLUMN_STEP_K: u32 = COLUMN_QUADS + 2u;
// Vectors from a row of a matrix of results to the next, and of a matrix.
const RESULT_STEP: u32 = 5u;
const RESULTS: u32 = 16u * RESULT_STEP;

// Matrices are loaded from and stored to multiples of 16 bytes: vectors of f32 in front, and steps of 8 halves behind, see to that. In
// variables of their own the halves lay at 8 bytes, and NVIDIA's driver read what was in front of them.
struct Tiles {
    results: array<vec4<f32>, 8u * RESULTS>,
    rows: array<vec4<f16>, TILE_K * ROW_STEP>,
    columns: array<vec4<f16>, TILE_K * COLUMN_STEP_K>,
}

var<workgroup> tiles: Tiles;
// The bits of the largest absolute value so far of every block of rows, what is not finite apart.
var<workgroup> largest: array<atomic<u32>, ROW_BLOCKS>;

fn place_rows(rows: Rows, value: vec4<f32>) { tiles.rows[rows.k % TILE_K * ROW_STEP + rows.quad] = vec4<f16>(value); }

// What rows of a block become halves by.
fn row_scale(block: u32) -> f32 {
    if (SCALE_IS_GIVEN != 0u) { return params.x_scale; }
    return scale_of(block);
}

fn place_column(k: u32, quad: u32, value: vec4<f32>) { tiles.columns[k * COLUMN_STEP_K + quad] = vec4<f16>(value); }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first_row = group.x * TILE_M;
    let first_column = group.y * TILE_N;
    let z = group.z / params.parts;
    let part = group.z % params.parts;
    let k_first = part * params.part;
    let k_end = min(k_first + params.part, params.k);

    if (local < ROW_BLOCKS) { atomicStore(&largest[local], 0u); }
    workgroupBarrier();
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

    let subgroup = local / 32u;
    let lane = local % 32u;
    let own_row = subgroup % 2u * 16u * ROW_BLOCKS;
    let own_column = subgroup / 2u * 16u * COLUMN_BLOCKS;
    let own_block = subgroup % 2u * ROW_BLOCKS / 2u;
    var inverse = select(0.0, inverse_of(params.x_scale), SCALE_IS_GIVEN != 0u);
    var acc: array<array<coop_mat16x16<f32, C>, COLUMN_BLOCKS>, ROW_BLOCKS>; // registers
    for (var k0 = k_first; k0 < k_end; k0 += TILE_K) {
        if (SCALE_IS_GIVEN == 0u) {
            for (var f = 0u; f < ROW_FETCHES; f += 1u) { raise(row[f].quad / 8u, finite(fetched_row[f])); } // unroll
        }
        workgroupBarrier();
        if (SCALE_IS_GIVEN == 0u) {
            let scale = scale_of(own_block);
            for (var a = 0u; a < ROW_BLOCKS; a += 1u) { // unroll
                for (var b = 0u; b < COLUMN_BLOCKS; b += 1u) { acc[a][b] = acc[a][b] * (scale * inverse); } // unroll
            }
            inverse = inverse_of(scale);
        }
        for (var f = 0u; f < ROW_FETCHES; f += 1u) { // unroll
            place_rows(row[f], fetched_row[f] * row_scale(row[f].quad / 8u));
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
        for (var k = 0u; k < TILE_K; k += 16u) { // unroll
            var y: array<coop_mat16x16<f16, B>, COLUMN_BLOCKS>; // registers
            for (var b = 0u; b < COLUMN_BLOCKS; b += 1u) { // unroll
                y[b] = coopLoadT<coop_mat16x16<f16, B>>(&tiles.columns[k * COLUMN_STEP_K + (own_column + b * 16u) / 4u], COLUMN_STEP_K);
            }
            for (var a = 0u; a < ROW_BLOCKS; a += 1u) { // unroll
                let x16 = coopLoad<coop_mat16x16<f16, A>>(&tiles.rows[k * ROW_STEP + (own_row + a * 16u) / 4u], ROW_STEP);
                for (var b = 0u; b < COLUMN_BLOCKS; b += 1u) { // unroll
                    acc[a][b] = coopMultiplyAdd(x16, y[b], acc[a][b]);
                }
            }
        }
    }

    // A matrix of every subgroup at a time goes through memory; lanes follow the contiguous dimension of the result.
    let out_base = out_base_of(z, part);
    let along_m = lanes_along_m();
    for (var a = 0u; a < ROW_BLOCKS; a += 1u) { // unroll
        for (var b = 0u; b < COLUMN_BLOCKS; b += 1u) { // unroll
            workgroupBarrier();
            coopStoreT(acc[a][b], &tiles.results[subgroup * RESULTS], RESULT_STEP);
            workgroupBarrier();
            for (var step = 0u; step < 8u; step += 1u) { // unroll
                let i = lane + 32u * step;
                let n_at = select(i % 16u, i / 16u, along_m);
                // Rows of a matrix are the elements of four vectors, which lanes along m take one by one.
                let m = select(i / 16u, i % 4u * 4u + i % 16u / 4u, along_m);
                let quad = own_row / 4u + a * 4u + m / 4u;
                let row_at = first_row + quad / 8u * 32u + quad % 8u + m % 4u * 8u;
                let value = tiles.results[subgroup * RESULTS + m * RESULT_STEP + n_at / 4u][n_at % 4u] * inverse;
                store(out_base, z, row_at, first_column + own_column + b * 16u + n_at, value);
            }
        }
    }
}
