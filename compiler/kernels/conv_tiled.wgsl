// conv_tiled.wgsl -- 2-D convolution, NCHW, implicit product with streamed texture weights, for GPUs with workgroup memory.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/conv.wgsl.
//
// An implicit product. A workgroup of 128 owns 32 pixels x 64 channels, an invocation 4 x 4 of them in registers.
// Tiles of 32 taps go through workgroup memory: x as vec4 of the pixels i, i + 8, i + 16, i + 24, weights as
// quads. The next tile is fetched into registers while this one is multiplied. Taps run upwards in every sum; a tap
// past the end contributes 0 * 0.

const TILE_M: u32 = 32u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 32u;
// Of 128 invocations: what each fetches of a tile of x and of weights.
const X_FETCHES: u32 = 2u;
const W_TEXELS: u32 = TILE_K * TILE_N / 4u / DEPTH;
const W_FETCHES: u32 = (W_TEXELS + 127u) / 128u;

var<workgroup> x_tile: array<array<vec4<f32>, 9>, 32>;
var<workgroup> w_tile: array<array<vec4<f32>, 16>, 32>;

// A tap: x = offset of its channel, y = kh * dilation_h, z = kw * dilation_w.
fn first_tap(k: u32) -> vec3<u32> {
    let window = params.kernel_h * params.kernel_w;
    return vec3<u32>(k / window * params.x_stride_channel, k % window / params.kernel_w * params.dilation_h,
                     k % params.kernel_w * params.dilation_w);
}

// The sum of two taps, with carries.
fn add_tap(tap: vec3<u32>, step: vec3<u32>) -> vec3<u32> {
    let row = params.kernel_w * params.dilation_w;
    let column = params.kernel_h * params.dilation_h;
    var t = tap + step;
    let row_done = t.z >= row;
    t.z -= select(0u, row, row_done);
    t.y += select(0u, params.dilation_h, row_done);
    let plane_done = t.y >= column;
    t.y -= select(0u, column, plane_done);
    t.x += select(0u, params.x_stride_channel, plane_done);
    return t;
}

// x under one tap of four pixels (h, v: top left input coordinates, negative ones wrapped around), zero outside.
fn load_x(h: vec4<u32>, v: vec4<u32>, x_base: u32, tap: vec3<u32>, in_taps: bool) -> vec4<f32> {
    let row = h + tap.y;
    let column = v + tap.z;
    let inside = (row < vec4<u32>(params.in_h)) & (column < vec4<u32>(params.in_w)) & vec4<bool>(in_taps);
    let i = x_base + select(vec4<u32>(), tap.x + row * params.in_w + column, inside);
    return select(vec4<f32>(), vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]), inside);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let image = group.z / params.groups;
    let channel_group = group.z % params.groups;
    let x_base = params.x_offset + image * params.x_stride_batch
        + channel_group * params.channels * params.x_stride_channel;
    let pixels = params.out_h * params.out_w;
    let k_end = params.channels * params.kernel_h * params.kernel_w;
    let tile_m = group.x * TILE_M;
    let tile_n = group.y * TILE_N;

    // What this invocation fetches; lanes follow the pixels.
    let xi = local % 8u;
    let pixel = min(tile_m + xi + vec4<u32>(0u, 8u, 16u, 24u), vec4<u32>(pixels - 1u));
    let h = pixel / params.out_w * params.stride_h - params.pad_h;
    let v = pixel % params.out_w * params.stride_w - params.pad_w;
    let tap_step = first_tap(TILE_K);
    var xk: array<u32, X_FETCHES>; // registers
    var tap: array<vec3<u32>, X_FETCHES>; // registers
    for (var f = 0u; f < X_FETCHES; f += 1u) { // unroll
        xk[f] = local / 8u + f * 16u;
        tap[f] = first_tap(xk[f]);
    }
    let panels = (params.n_count + PANEL - 1u) / PANEL;
    let weight_base = params.weight_base + channel_group * params.weight_group_stride;
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
        w_head[f] = weight_base + min(group.y * 2u + tile_panel, panels - 1u) * panel_texels;
        w_base[f] = w_head[f] + head_texels(k_end) + local % PANEL_QUADS;
    }

    // What it computes: lanes follow the pixels.
    let ty = local % 8u;
    let tx = local / 8u;
    var acc: array<vec4<f32>, 4>; // registers

    var next_x: array<vec4<f32>, X_FETCHES>; // registers
    for (var f = 0u; f < X_FETCHES; f += 1u) { // unroll
        next_x[f] = load_x(h, v, x_base, tap[f], xk[f] < k_end);
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
            x_tile[xk[f]][xi] = next_x[f];
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
                tap[f] = add_tap(tap[f], tap_step);
                next_x[f] = load_x(h, v, x_base, tap[f], k1 + xk[f] < k_end);
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

    let out_base = params.out_offset + image * params.out_stride_batch;
    // Registers are rotated rather than indexed: a dynamic index would move them to memory.
    for (var i = 0u; i < 4u; i += 1u) {
        let m = tile_m + ty + i * 8u;
        for (var j = 0u; j < 4u; j += 1u) {
            let column = tile_n + tx * 4u + j;
            if (m < pixels && column < params.n_count) {
                let n = channel_group * params.n_per_group + params.n0 + column;
                out[out_base + n * params.out_stride_channel + m] = epilogue(acc[0].x, image, m, n);
            }
            acc[0] = acc[0].yzwx;
        }
        acc[0] = acc[1];
        acc[1] = acc[2];
        acc[2] = acc[3];
    }
}
