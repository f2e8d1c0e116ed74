// conv_wide.wgsl -- 2-D convolution, NCHW, implicit product with streamed texture weights, for CPU adapters.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/conv.wgsl.
//
// The tile for CPU adapters (registers are memory there); everything but the tile constants, results included, is
// that of conv_tiled.wgsl.
//
// One invocation owns ROWS pixels x PANELS panels of channels; see matmul.wgsl.

const ROWS: u32 = 8u;
const PANELS: u32 = 2u;
const COLUMNS: u32 = PANELS * PANEL;
const TILE_M: u32 = 16u * ROWS;
const TILE_N: u32 = 4u * COLUMNS;

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let image = group.z / params.groups;
    let channel_group = group.z % params.groups;
    let x_base = params.x_offset + image * params.x_stride_batch
        + channel_group * params.channels * params.x_stride_channel;
    let pixels = params.out_h * params.out_w;
    let taps = params.channels * params.kernel_h * params.kernel_w;
    let m = group.x * TILE_M + (local.x >> 3u) * (8u * ROWS) + (local.x & 7u);
    let panel = (group.y * 4u + local.y) * PANELS;
    let active_invocation = m < pixels && panel * PANEL < params.n_count;
    let pages = page_size();

    // Top left input coordinate of each pixel; unsigned wrap-around stands for negative numbers.
    var h: array<u32, ROWS>; // registers
    var v: array<u32, ROWS>; // registers
    var i: array<u32, ROWS>; // registers
    for (var r = 0u; r < ROWS; r += 1u) { // unroll
        let p = min(m + r * 8u, pixels - 1u);
        h[r] = (p / params.out_w) * params.stride_h - params.pad_h;
        v[r] = (p % params.out_w) * params.stride_w - params.pad_w;
        i[r] = x_base + h[r] * params.in_w + v[r];
    }
    let rows = (taps + DEPTH - 1u) / DEPTH;
    let panel_texels = head_texels(taps) + rows * PANEL_QUADS;
    // Texels from the first panel to another. Invocations with fewer panels left read their first one again.
    var away: array<u32, PANELS>; // registers
    for (var p = 0u; p < PANELS; p += 1u) { // unroll
        away[p] = select(0u, p * panel_texels, (panel + p) * PANEL < params.n_count);
    }

    var acc: array<array<vec4<f32>, PANELS * PANEL_QUADS>, ROWS>; // registers

    // An invocation without work has an empty loop instead of an early return.
    let head = params.weight_base + channel_group * params.weight_group_stride + panel * panel_texels;
    var texel = head + head_texels(taps);
    let texel_end = texel + select(0u, rows * PANEL_QUADS, active_invocation);
    var k = 0u;
    var dh = 0u;
    var dw = 0u;
    var plane = 0u;
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
            let is_tap = DEPTH == 1u || k + step < taps;
            let tap = plane + dh * params.in_w + dw;
            var xs: array<f32, ROWS>; // registers
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                let inside = is_tap && h[r] + dh < params.in_h && v[r] + dw < params.in_w;
                xs[r] = select(0.0, x[select(x_base, i[r] + tap, inside)], inside);
            }
            for (var q = 0u; q < PANELS * PANEL_QUADS; q += 1u) { // unroll
                let w = scaled(decoded(raw[q], step), scale[q]);
                for (var r = 0u; r < ROWS; r += 1u) { // unroll
                    acc[r][q] += xs[r] * w;
                }
            }

            dw += params.dilation_w;
            let row_done = dw >= params.kernel_w * params.dilation_w;
            dw = select(dw, 0u, row_done);
            dh += select(0u, params.dilation_h, row_done);
            let plane_done = dh >= params.kernel_h * params.dilation_h;
            dh = select(dh, 0u, plane_done);
            plane += select(0u, params.x_stride_channel, plane_done);
        }
        k += DEPTH;
    }

    if (active_invocation) {
        let out_base = params.out_offset + image * params.out_stride_batch;
        // Registers are rotated rather than indexed: a dynamic index would move them to memory.
        for (var first = 0u; first < COLUMNS; first += 4u) {
            var s: array<vec4<f32>, ROWS>; // registers
            for (var r = 0u; r < ROWS; r += 1u) { // unroll
                s[r] = acc[r][0];
            }
            for (var r = 0u; r < ROWS; r += 1u) {
                let pixel = m + r * 8u;
                let columns = select(0u, params.n_count - panel * PANEL, pixel < pixels);
                for (var c = first; c < first + 4u; c += 1u) {
                    if (c < columns) {
                        let n = channel_group * params.n_per_group + params.n0 + panel * PANEL + c;
                        out[out_base + n * params.out_stride_channel + pixel] = epilogue(s[0].x, image, pixel, n);
                    }
                    s[0] = s[0].yzwx;
                }
                for (var next = 1u; next < ROWS; next += 1u) { // unroll
                    s[next - 1u] = s[next];
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
