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
    let a_base = params.a_offset + dot(b, params.a_batch_stride.xyz);
    let c_base = params.c_offset + dot(b, params.c_batch_stride.xyz);
    let out_base = params.out_offset + dot(b, params.out_batch_stride.xyz);
    let m = group.x * TILE_M + local.x;
    let n = group.y * TILE_N + local.y * COLUMNS;
    let active_invocation = m < params.m && n < params.n;
    // An invocation without work has an empty loop instead of an early return.
    let k_end = select(0u, params.k, active_invocation);
    let a_step = params.a_stride_k;
    let c_step = params.c_stride_k;
    var i: array<u32, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        i[r] = a_base + min(m + r * 8u, params.m - 1u) * params.a_stride_m;
    }
    var j: array<u32, COLUMNS>; // registers
    for (var t = 0u; t < COLUMNS; t += 1u) { // unroll
        j[t] = c_base + min(n + t, params.n - 1u) * params.c_stride_n;
    }
    var c_row = 0u;

    var acc: array<array<vec4<f32>, VECTORS>, ROWS>; // registers

    for (var k = 0u; k < k_end; k += 1u) {
        var x: array<f32, ROWS>; // registers
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            x[r] = a[i[r]];
            i[r] += a_step;
        }
        for (var t = 0u; t < VECTORS; t += 1u) { // unroll
            let y = vec4<f32>(c[j[4u * t] + c_row], c[j[4u * t + 1u] + c_row],
                              c[j[4u * t + 2u] + c_row], c[j[4u * t + 3u] + c_row]);
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                acc[r][t] += x[r] * y;
            }
        }
        c_row += c_step;
    }

    if (active_invocation) {
        // Registers are rotated rather than indexed: a dynamic index would move them to memory.
        for (var first = 0u; first < COLUMNS; first += 4u) {
            var v: array<vec4<f32>, ROWS>; // registers
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                v[r] = acc[r][0];
            }
            for (var r = 0u; r < ROWS; r += 1u) {
                let row_m = m + r * 8u;
                let columns = select(0u, params.n - n, row_m < params.m);
                for (var column = first; column < first + 4u; column += 1u) {
                    if (column < columns) {
                        out[out_base + row_m * params.out_stride_m + (n + column) * params.out_stride_n] =
                            epilogue(v[0].x, group.z, row_m, n + column);
                    }
                    v[0] = v[0].yzwx;
                }
                for (var next = 1u; next < ROWS; next += 1u) { // unroll
                    v[next - 1u] = v[next];
                }
            }
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                for (var next = 1u; next < VECTORS; next += 1u) { // unroll
                    acc[r][next - 1u] = acc[r][next];
                }
            }
        }
    }
}
