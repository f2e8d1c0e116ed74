// matmul_slices.wgsl -- matrix product with streamed texture weights for few rows, on GPUs.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/product.wgsl.
// Constants: ROWS and QUADS (2 or 8) of a workgroup.
//
// A workgroup owns QUADS quads of a panel's columns. SLICES invocations share the sums of a quad: each takes every SLICES-th run of
// RUN k, so that they read what lies side by side, and there is work for a whole device where there are few columns. The sums of
// the slices are added in a tree, always the same: which k a slice has does not depend on the encoding, and no bit does.

const ROWS: u32 = 1u;
const QUADS: u32 = 8u;
const SLICES: u32 = 256u / QUADS;
const TILE_M: u32 = ROWS;
const TILE_N: u32 = 4u * QUADS;
// Workgroups that share a panel.
const SHARERS: u32 = PANEL_QUADS / QUADS;
// A multiple of every DEPTH, and a part of every block.
const RUN: u32 = 8u;

var<workgroup> sums: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let x_base = params.x_offset + dot(batch_of(group.z), params.x_batch_stride.xyz);
    let out_base = out_base_of(group.z, 0u);
    let m = group.x * TILE_M;
    let quad = group.y % SHARERS * QUADS + local % QUADS;
    let slice = local / QUADS;
    let head = params.weight_base + group.y / SHARERS * panel_texels();
    let first = head + head_texels(params.k) + quad;
    var i: array<u32, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { i[r] = x_base + min(m + r, params.m - 1u) * params.x_stride_m; } // unroll

    var acc: array<vec4<f32>, ROWS>; // registers
    for (var run = slice * RUN; run < params.k; run += SLICES * RUN) {
        let scale = scale_at(head, run, quad);
        var raw: array<vec4<u32>, RUN / DEPTH>; // registers
        for (var t = 0u; t < RUN / DEPTH; t += 1u) { raw[t] = panel_texel(first, run / DEPTH + t); } // unroll
        for (var t = 0u; t < RUN / DEPTH; t += 1u) { // unroll
            for (var step = 0u; step < DEPTH; step += 1u) { // unroll
                let k = run + t * DEPTH + step;
                let inside = k < params.k;
                let w = scaled(decoded(raw[t], step), scale);
                for (var r = 0u; r < ROWS; r += 1u) { // unroll
                    acc[r] += select(0.0, x[i[r] + select(0u, k * params.x_stride_k, inside)], inside) * w;
                }
            }
        }
    }

    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        sums[local] = acc[r];
        for (var apart = SLICES / 2u; apart > 0u; apart /= 2u) {
            workgroupBarrier();
            if (slice < apart) { sums[local] += sums[local + apart * QUADS]; }
        }
        workgroupBarrier();
        if (local < TILE_N) { store(out_base, group.z, m + r, group.y * TILE_N + local, sums[local / 4u][local % 4u]); }
        workgroupBarrier();
    }
}
