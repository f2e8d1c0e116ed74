// wide.wgsl -- products with streamed weights in registers. Linked behind what reads x.
//
// Constants: ROWS and PANELS of an invocation. Large ones are for CPU adapters, where registers are memory.
// One invocation owns ROWS rows x PANELS panels. Lanes run along m, so weight texels are shared by a whole row of lanes and x
// is read with one address per lane; nothing is exchanged between invocations, so there is no barrier. Terms are added up in
// ascending order.
// Expects:   Row, row_at(z, m): a row of x; Term, next_term(term): a term, of which Term() is the first; x_at(row, term, inside):
//            x there, 0 where it is not inside.

const ROWS: u32 = 8u;
const PANELS: u32 = 2u;
const COLUMNS: u32 = PANELS * PANEL;
const TILE_M: u32 = 16u * ROWS;
const TILE_N: u32 = 4u * COLUMNS;

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let z = group.z;
    let m = group.x * TILE_M + (local.x >> 3u) * (8u * ROWS) + (local.x & 7u);
    let panel = (group.y * 4u + local.y) * PANELS;
    let active_invocation = m < params.m && panel * PANEL < params.n_count;
    let pages = page_size();
    var row: array<Row, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { row[r] = row_at(z, min(m + r * 8u, params.m - 1u)); } // unroll
    // Texels from the first panel to another. Invocations with fewer panels left read their first one again.
    var away: array<u32, PANELS>; // registers
    for (var p = 0u; p < PANELS; p += 1u) { // unroll
        away[p] = select(0u, p * panel_texels(), (panel + p) * PANEL < params.n_count);
    }

    var acc: array<array<vec4<f32>, PANELS * PANEL_QUADS>, ROWS>; // registers

    // An invocation without work has an empty loop instead of an early return.
    let head = weights_of(z) + panel * panel_texels();
    var texel = head + head_texels(params.k);
    let texel_end = texel + select(0u, panel_rows() * PANEL_QUADS, active_invocation);
    var k = 0u;
    var term = Term();
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
            for (var r = 0u; r < ROWS; r += 1u) { xs[r] = x_at(row[r], term, inside); } // unroll
            for (var q = 0u; q < PANELS * PANEL_QUADS; q += 1u) { // unroll
                let w = scaled(decoded(raw[q], step), scale[q]);
                for (var r = 0u; r < ROWS; r += 1u) { acc[r][q] += xs[r] * w; } // unroll
            }
            term = next_term(term);
        }
        k += DEPTH;
    }

    if (active_invocation) {
        let out_base = out_base_of(z, 0u);
        for (var q = 0u; q < PANELS * PANEL_QUADS; q += 1u) { // rotate
            for (var r = 0u; r < ROWS; r += 1u) { // rotate
                for (var c = 0u; c < 4u; c += 1u) { // rotate
                    store(out_base, z, m + r * 8u, panel * PANEL + 4u * q + c, acc[r][q][c]);
                }
            }
        }
    }
}
