// matmul_rows.wgsl -- matrix product with streamed texture weights for few rows.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/product.wgsl.
// Constants: ROWS and UNITS, an invocation's rows and texels; STEPS, the k that it takes in one round.
//
// Lanes run along n: each owns UNITS texels, of panels four apart, and reads neighbouring texels of the same k, while x is
// uniform in the workgroup.

const ROWS: u32 = 4u;
const UNITS: u32 = 4u;
const STEPS: u32 = 1u;
const TILE_M: u32 = ROWS;
const TILE_N: u32 = 4u * PANEL * UNITS;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let b = batch_of(group.z);
    let x_base = params.x_offset + dot(b, params.x_batch_stride.xyz);
    let out_base = params.out_offset + dot(b, params.out_batch_stride.xyz);
    let m = group.x * TILE_M;
    let last_panel = (params.n_count + PANEL - 1u) / PANEL - 1u;
    let panel = group.y * (4u * UNITS) + (local.x >> 3u);
    let j = local.x & 7u;
    let k_end = select(0u, params.k, panel <= last_panel);
    var texel: array<u32, UNITS>; // registers
    for (var u = 0u; u < UNITS; u += 1u) { // unroll
        texel[u] = params.weight_base + min(panel + u * 4u, last_panel) * params.k * TEXELS + j;
    }
    var i: array<u32, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        i[r] = x_base + min(m + r, params.m - 1u) * params.x_stride_m;
    }

    var acc: array<array<vec4<f32>, UNITS>, ROWS>; // registers

    var k = 0u;
    let k_whole = k_end & ~(STEPS - 1u);
    for (; k < k_whole; k += STEPS) {
        var w: array<array<vec4<f32>, UNITS>, STEPS>; // registers
        for (var s = 0u; s < STEPS; s += 1u) { // unroll
            for (var u = 0u; u < UNITS; u += 1u) { // unroll
                w[s][u] = weight_texel(texel[u] + s * TEXELS);
            }
        }
        for (var u = 0u; u < UNITS; u += 1u) { // unroll
            texel[u] += STEPS * TEXELS;
        }
        for (var s = 0u; s < STEPS; s += 1u) { // unroll
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                let value = x[i[r] + s * params.x_stride_k];
                for (var u = 0u; u < UNITS; u += 1u) { // unroll
                    acc[r][u] += value * w[s][u];
                }
            }
        }
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            i[r] += STEPS * params.x_stride_k;
        }
    }
    for (; k < k_end; k += 1u) {
        var w: array<vec4<f32>, UNITS>; // registers
        for (var u = 0u; u < UNITS; u += 1u) { // unroll
            w[u] = weight_texel(texel[u]);
            texel[u] += TEXELS;
        }
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            let value = x[i[r]];
            i[r] += params.x_stride_k;
            for (var u = 0u; u < UNITS; u += 1u) { // unroll
                acc[r][u] += value * w[u];
            }
        }
    }

    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    for (var unit = 0u; unit < UNITS; unit += 1u) {
        var v: array<vec4<f32>, ROWS>; // registers
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            v[r] = acc[r][0];
        }
        for (var r = 0u; r < ROWS; r += 1u) {
            let row_m = m + r;
            let first = (panel + unit * 4u) * PANEL + j * 4u;
            for (var c = first; c < first + 4u; c += 1u) {
                if (row_m < params.m && c < params.n_count) {
                    let n = params.n0 + c;
                    out[out_base + row_m * params.out_stride_m + n * params.out_stride_n] =
                        epilogue(v[0].x, group.z, row_m, n);
                }
                v[0] = v[0].yzwx;
            }
            for (var next = 1u; next < ROWS; next += 1u) { // unroll
                v[next - 1u] = v[next];
            }
        }
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            for (var next = 1u; next < UNITS; next += 1u) { // unroll
                acc[r][next - 1u] = acc[r][next];
            }
        }
    }
}
