// matmul_dyn_wide.wgsl -- matrix product of two activations, for CPU adapters.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/dynamic.wgsl.
//
// The tile for CPU adapters (registers are memory there); everything but the tile constants, results included, is
// that of matmul_dyn_tiled.wgsl.
//
// One invocation owns ROWS rows x COLUMNS columns in registers; lanes run along m. No barrier: see shared/wide.wgsl.

const ROWS: u32 = 16u;
const VECTORS: u32 = 4u;
const COLUMNS: u32 = 4u * VECTORS;
const TILE_M: u32 = 8u * ROWS;
const TILE_N: u32 = 4u * COLUMNS;

@compute @workgroup_size(8, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let b = batch_of(group.z);
    let x_base = params.x_offset + dot(b, params.x_batch_stride.xyz);
    let c_base = params.c_offset + dot(b, params.c_batch_stride.xyz);
    let m = group.x * TILE_M + local.x;
    let n = group.y * TILE_N + local.y * COLUMNS;
    let active_invocation = m < params.m && n < params.n_count;
    // An invocation without work has an empty loop instead of an early return.
    let k_end = select(0u, params.k, active_invocation);
    var i: array<u32, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        i[r] = x_base + min(m + r * 8u, params.m - 1u) * params.x_stride_m;
    }
    var j: array<u32, COLUMNS>; // registers
    for (var t = 0u; t < COLUMNS; t += 1u) { // unroll
        j[t] = c_base + min(n + t, params.n_count - 1u) * params.c_stride_n;
    }
    var c_row = 0u;

    var acc: array<array<vec4<f32>, VECTORS>, ROWS>; // registers

    for (var k = 0u; k < k_end; k += 1u) {
        var value: array<f32, ROWS>; // registers
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            value[r] = x[i[r]];
            i[r] += params.x_stride_k;
        }
        for (var t = 0u; t < VECTORS; t += 1u) { // unroll
            let y = vec4<f32>(c[j[4u * t] + c_row], c[j[4u * t + 1u] + c_row],
                              c[j[4u * t + 2u] + c_row], c[j[4u * t + 3u] + c_row]);
            for (var r = 0u; r < ROWS; r += 1u) { acc[r][t] += value[r] * y; } // unroll
        }
        c_row += params.c_stride_k;
    }

    if (active_invocation) {
        let out_base = out_base_of(group.z, 0u);
        for (var t = 0u; t < VECTORS; t += 1u) { // rotate
            for (var r = 0u; r < ROWS; r += 1u) { // rotate
                for (var part = 0u; part < 4u; part += 1u) { // rotate
                    store(out_base, group.z, m + r * 8u, n + 4u * t + part, acc[r][t][part]);
                }
            }
        }
    }
}
