// matmul_rows.wgsl -- matrix product with streamed texture weights for few rows.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/product.wgsl.
// Constants: ROWS and UNITS, an invocation's rows and quads; FETCHES, the texels of a quad that it takes in one round.
//
// Lanes run along n: each owns UNITS quads, PANEL_STEP panels apart, and reads neighbouring texels of the same row of a panel,
// while x is uniform in the workgroup.

const ROWS: u32 = 4u;
const UNITS: u32 = 4u;
const FETCHES: u32 = 1u;
const LANES: u32 = 32u;
const TILE_M: u32 = ROWS;
const TILE_N: u32 = 4u * LANES * UNITS;
// Distance of an invocation's panels.
const PANEL_STEP: u32 = LANES / PANEL_QUADS;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let x_base = params.x_offset + dot(batch_of(group.z), params.x_batch_stride.xyz);
    let out_base = out_base_of(group.z, 0u);
    let m = group.x * TILE_M;
    let last_panel = (params.n_count + PANEL - 1u) / PANEL - 1u;
    let panel = group.y * (PANEL_STEP * UNITS) + local.x / PANEL_QUADS;
    let j = local.x % PANEL_QUADS;
    let k_end = select(0u, params.k, panel <= last_panel);
    var head: array<u32, UNITS>; // registers
    var texel: array<u32, UNITS>; // registers
    for (var u = 0u; u < UNITS; u += 1u) { // unroll
        head[u] = params.weight_base + min(panel + u * PANEL_STEP, last_panel) * panel_texels();
        texel[u] = head[u] + head_texels(params.k) + j;
    }
    var i: array<u32, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { i[r] = x_base + min(m + r, params.m - 1u) * params.x_stride_m; } // unroll

    var acc: array<array<vec4<f32>, UNITS>, ROWS>; // registers
    var scale: array<Scale, UNITS>; // registers

    var k = 0u;
    let k_whole = k_end & ~(FETCHES * DEPTH - 1u);
    for (; k < k_whole; k += FETCHES * DEPTH) {
        var raw: array<array<vec4<u32>, UNITS>, FETCHES>; // registers
        for (var f = 0u; f < FETCHES; f += 1u) { // unroll
            for (var u = 0u; u < UNITS; u += 1u) { raw[f][u] = weight_texel(texel[u] + f * PANEL_QUADS); } // unroll
        }
        for (var u = 0u; u < UNITS; u += 1u) { texel[u] += FETCHES * PANEL_QUADS; } // unroll
        for (var f = 0u; f < FETCHES; f += 1u) { // unroll
            if (new_block(k + f * DEPTH)) {
                for (var u = 0u; u < UNITS; u += 1u) { scale[u] = scale_at(head[u], k + f * DEPTH, j); } // unroll
            }
            for (var step = 0u; step < DEPTH; step += 1u) { // unroll
                for (var r = 0u; r < ROWS; r += 1u) { // unroll
                    let value = x[i[r] + (f * DEPTH + step) * params.x_stride_k];
                    for (var u = 0u; u < UNITS; u += 1u) { // unroll
                        acc[r][u] += value * scaled(decoded(raw[f][u], step), scale[u]);
                    }
                }
            }
        }
        for (var r = 0u; r < ROWS; r += 1u) { i[r] += FETCHES * DEPTH * params.x_stride_k; } // unroll
    }
    for (; k < k_end; k += 1u) {
        if (new_block(k)) {
            for (var u = 0u; u < UNITS; u += 1u) { scale[u] = scale_at(head[u], k, j); } // unroll
        }
        var w: array<vec4<f32>, UNITS>; // registers
        for (var u = 0u; u < UNITS; u += 1u) { // unroll
            w[u] = scaled(decoded(weight_texel(texel[u]), k % DEPTH), scale[u]);
            texel[u] += select(0u, PANEL_QUADS, k % DEPTH == DEPTH - 1u);
        }
        for (var r = 0u; r < ROWS; r += 1u) { // unroll
            let value = x[i[r]];
            i[r] += params.x_stride_k;
            for (var u = 0u; u < UNITS; u += 1u) { acc[r][u] += value * w[u]; } // unroll
        }
    }

    for (var u = 0u; u < UNITS; u += 1u) { // rotate
        for (var r = 0u; r < ROWS; r += 1u) { // rotate
            for (var c = 0u; c < 4u; c += 1u) { // rotate
                store(out_base, group.z, m + r, (panel + u * PANEL_STEP) * PANEL + j * 4u + c, acc[r][u][c]);
            }
        }
    }
}
