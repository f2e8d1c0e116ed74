// matmul_tiled.wgsl -- dense matrix product with streamed texture weights, for GPUs with workgroup memory.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/product.wgsl.
//
// A workgroup of 128 owns 32 x 64 outputs, an invocation 4 x 4 of them in registers. Tiles of 32 k go through
// workgroup memory: x as vec4 of the rows i, i + 8, i + 16, i + 24 (row i of x_tile[k]), weights as quads.
// The next tile is fetched into registers while this one is multiplied. k runs upwards in every sum; a k past the end
// contributes 0 * 0. A padded row of x_tile avoids bank conflicts.

const TILE_M: u32 = 32u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 32u;
// Of 128 invocations: what each fetches of a tile of x and of weights.
const X_FETCHES: u32 = 2u;
const W_TEXELS: u32 = TILE_K * TILE_N / 4u / DEPTH;
const W_FETCHES: u32 = (W_TEXELS + 127u) / 128u;

var<workgroup> x_tile: array<array<vec4<f32>, 9>, 32>;
var<workgroup> w_tile: array<array<vec4<f32>, 16>, 32>;

// x[row, k] of four rows given by their first elements, zero past the last k.
fn load_x(row: vec4<u32>, k: u32) -> vec4<f32> {
    let i = row + min(k, params.k - 1u) * params.x_stride_k;
    return select(vec4<f32>(), vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]), k < params.k);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let b = batch_of(group.z);
    let x_base = params.x_offset + dot(b, params.x_batch_stride.xyz);
    let out_base = params.out_offset + dot(b, params.out_batch_stride.xyz);
    let tile_m = group.x * TILE_M;
    let tile_n = group.y * TILE_N;
    let k_end = params.k;
    let last_m = params.m - 1u;

    // What this invocation fetches; lanes follow the dimension of x that is contiguous.
    let along_k = params.x_stride_k == 1u;
    var xk: array<u32, X_FETCHES>; // registers
    var xi: array<u32, X_FETCHES>; // registers
    var x_row: array<vec4<u32>, X_FETCHES>; // registers
    for (var f = 0u; f < X_FETCHES; f += 1u) { // unroll
        xk[f] = select((local + f * 128u) / 8u, (local + f * 128u) % 32u, along_k);
        xi[f] = select((local + f * 128u) % 8u, (local + f * 128u) / 32u, along_k);
        x_row[f] = x_base + min(tile_m + xi[f] + vec4<u32>(0u, 8u, 16u, 24u), vec4<u32>(last_m)) * params.x_stride_m;
    }
    let panels = (params.n_count + PANEL - 1u) / PANEL;
    let rows = (k_end + DEPTH - 1u) / DEPTH;
    let panel_texels = head_texels(k_end) + rows * PANEL_QUADS;
    var w_row: array<u32, W_FETCHES>; // registers
    var wi: array<u32, W_FETCHES>; // registers
    var w_head: array<u32, W_FETCHES>; // registers
    var w_base: array<u32, W_FETCHES>; // registers
    for (var f = 0u; f < W_FETCHES; f += 1u) { // unroll
        let fetch = (local + f * 128u) % W_TEXELS;
        let tile_panel = fetch / (TILE_K / DEPTH * PANEL_QUADS);
        w_row[f] = fetch / PANEL_QUADS % (TILE_K / DEPTH);
        wi[f] = tile_panel * PANEL_QUADS + local % PANEL_QUADS;
        w_head[f] = params.weight_base + min(group.y * 2u + tile_panel, panels - 1u) * panel_texels;
        w_base[f] = w_head[f] + head_texels(k_end) + local % PANEL_QUADS;
    }

    // What it computes: lanes follow the contiguous dimension of the result.
    let lanes_along_m = params.out_stride_m == 1u && params.out_stride_n != 1u;
    let ty = select(local / 16u, local % 8u, lanes_along_m);
    let tx = select(local % 16u, local / 8u, lanes_along_m);
    var acc: array<vec4<f32>, 4>; // registers

    var next_x: array<vec4<f32>, X_FETCHES>; // registers
    for (var f = 0u; f < X_FETCHES; f += 1u) { // unroll
        next_x[f] = load_x(x_row[f], xk[f]);
    }
    var next_w: array<vec4<u32>, W_FETCHES>; // registers
    var scale: array<Scale, W_FETCHES>; // registers
    for (var f = 0u; f < W_FETCHES; f += 1u) { // unroll
        next_w[f] = panel_texel(w_base[f], w_row[f], rows);
        scale[f] = scale_at(w_head[f], min(w_row[f] * DEPTH, k_end - 1u), local % PANEL_QUADS);
    }
    for (var k0 = 0u; k0 < k_end; k0 += TILE_K) {
        workgroupBarrier();
        for (var f = 0u; f < X_FETCHES; f += 1u) { // unroll
            x_tile[xk[f]][xi[f]] = next_x[f];
        }
        for (var f = 0u; f < W_FETCHES; f += 1u) { // unroll
            for (var step = 0u; step < DEPTH; step += 1u) { // unroll
                w_tile[w_row[f] * DEPTH + step][wi[f]] = scaled(decoded(next_w[f], step), scale[f]);
            }
        }
        workgroupBarrier();
        if (k0 + TILE_K < k_end) {
            let k1 = k0 + TILE_K;
            for (var f = 0u; f < X_FETCHES; f += 1u) { // unroll
                next_x[f] = load_x(x_row[f], k1 + xk[f]);
            }
            for (var f = 0u; f < W_FETCHES; f += 1u) { // unroll
                next_w[f] = panel_texel(w_base[f], k1 / DEPTH + w_row[f], rows);
                if (new_block(k1)) {
                    scale[f] = scale_at(w_head[f], min(k1 + w_row[f] * DEPTH, k_end - 1u), local % PANEL_QUADS);
                }
            }
        }
        for (var k = 0u; k < TILE_K; k += 1u) { // unroll
            let xs = x_tile[k][ty];
            let w = w_tile[k][tx];
            acc[0] += xs.x * w;
            acc[1] += xs.y * w;
            acc[2] += xs.z * w;
            acc[3] += xs.w * w;
        }
    }

    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    for (var i = 0u; i < 4u; i += 1u) {
        let m = tile_m + ty + i * 8u;
        for (var j = 0u; j < 4u; j += 1u) {
            let column = tile_n + tx * 4u + j;
            if (m < params.m && column < params.n_count) {
                let n = params.n0 + column;
                out[out_base + m * params.out_stride_m + n * params.out_stride_n] = epilogue(acc[0].x, group.z, m, n);
            }
            acc[0] = acc[0].yzwx;
        }
        acc[0] = acc[1];
        acc[1] = acc[2];
        acc[2] = acc[3];
    }
}
