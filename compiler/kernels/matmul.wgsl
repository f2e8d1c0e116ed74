// matmul.wgsl -- dense matrix product with streamed texture weights, in registers.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/product.wgsl.
// Constants: ROWS and PANELS of an invocation. Of two kernels, the wide one is the tile of CPU adapters, where registers
//            are memory.
//
// One invocation owns ROWS rows x PANELS panels. Lanes run along m, so weight texels are shared by a whole row of lanes and x
// is read with one address per lane; nothing is exchanged between invocations, so there is no barrier.

const ROWS: u32 = 4u;
const PANELS: u32 = 1u;
const COLUMNS: u32 = PANELS * PANEL;
const TILE_M: u32 = 16u * ROWS;
const TILE_N: u32 = 4u * COLUMNS;

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let b = batch_of(group.z);
    let x_base = params.x_offset + dot(b, params.x_batch_stride.xyz);
    let out_base = params.out_offset + dot(b, params.out_batch_stride.xyz);
    let m = group.x * TILE_M + (local.x >> 3u) * (8u * ROWS) + (local.x & 7u);
    let panel = (group.y * 4u + local.y) * PANELS;
    let active_invocation = m < params.m && panel * PANEL < params.n_count;
    let last_m = params.m - 1u;
    let pages = page_size();
    let x_step = params.x_stride_k;
    var i: array<u32, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        i[r] = x_base + min(m + r * 8u, last_m) * params.x_stride_m;
    }
    let rows = (params.k + DEPTH - 1u) / DEPTH;
    let panel_texels = head_texels(params.k) + rows * PANEL_QUADS;
    // Texels from the first panel to another. Invocations with fewer panels left read their first one again.
    var away: array<u32, PANELS>; // registers
    for (var p = 0u; p < PANELS; p += 1u) { // unroll
        away[p] = select(0u, p * panel_texels, (panel + p) * PANEL < params.n_count);
    }

    var acc: array<array<vec4<f32>, PANELS * PANEL_QUADS>, ROWS>; // registers

    // An invocation without work has an empty loop instead of an early return.
    let head = params.weight_base + panel * panel_texels;
    var texel = head + head_texels(params.k);
    let texel_end = texel + select(0u, rows * PANEL_QUADS, active_invocation);
    var k = 0u;
    var scale: array<Scale, PANELS * PANEL_QUADS>; // registers
    for (; texel < texel_end; texel += PANEL_QUADS) {
        if (new_block(k)) {
            for (var q = 0u; q < PANELS * PANEL_QUADS; q += 1u) { // unroll
                scale[q] = scale_at(head + away[q / PANEL_QUADS], k, q % PANEL_QUADS);
            }
        }
        var raw: array<vec4<u32>, PANELS * PANEL_QUADS>; // registers
        for (var p = 0u; p < PANELS; p += 1u) { // unroll
            let at = place_of(texel + away[p], pages);
            for (var t = 0u; t < PANEL_QUADS; t += 1u) { // unroll
                raw[p * PANEL_QUADS + t] = textureLoad(weights, vec2<u32>(at.x + t, at.y), at.z, 0);
            }
        }
        for (var step = 0u; step < DEPTH; step += 1u) { // unroll 1
            let inside = DEPTH == 1u || k + step < params.k;
            var xs: array<f32, ROWS>; // registers
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                xs[r] = select(0.0, x[select(x_base, i[r], inside)], inside);
                i[r] += x_step;
            }
            for (var q = 0u; q < PANELS * PANEL_QUADS; q += 1u) { // unroll
                let w = scaled(decoded(raw[q], step), scale[q]);
                for (var r = 0u; r < ROWS; r += 1u) { // unroll
                    acc[r][q] += xs[r] * w;
                }
            }
        }
        k += DEPTH;
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
                let columns = select(0u, params.n_count - panel * PANEL, row_m < params.m);
                for (var c = first; c < first + 4u; c += 1u) {
                    if (c < columns) {
                        let n = params.n0 + panel * PANEL + c;
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
                for (var next = 1u; next < PANELS * PANEL_QUADS; next += 1u) { // unroll
                    acc[r][next - 1u] = acc[r][next];
                }
            }
        }
    }
}
