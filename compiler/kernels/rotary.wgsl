// rotary.wgsl -- pairs of elements turned by the angles of their position.
//
// Formula:   out[b, h, s, d] = x[b, h, s, d] * cos[p, i] + sign * x[b, h, s, partner] * sin[p, i] with p = positions[b, s], for
//            d < 2 * half; other elements stay. Interleaved: i = d / 2, and the pair is 2i and 2i + 1; else i = d mod half, and
//            the pair is i and i + half. sign is -1 for the first of a pair, 1 for the second.
// Bindings:  2 out: f32, dense; 3 x: f32, strides of (batch, head, row, element); 4 cos, 5 sin: f32, dense (table rows, half); 6
//            positions: i32, strides of (batch, row). A position outside the table reads the nearest row.

struct Params {
    count: u32, width: u32, heads: u32, rows: u32,
    head_dim: u32, half: u32, table_rows: u32, interleaved: u32,
    x_offset: u32, cos_offset: u32, sin_offset: u32, positions_offset: u32,
    x_stride: vec4<u32>,
    position_batch: u32, position_row: u32, pad_0: u32, pad_1: u32,
}

@group(0) @binding(4) var<storage, read_write> cos_table: array<f32>;
@group(0) @binding(5) var<storage, read_write> sin_table: array<f32>;
@group(0) @binding(6) var<storage, read_write> positions: array<i32>;

fn compute(e: u32) {
    let place = coordinates(e, vec4<u32>(1u, params.heads, params.rows, params.head_dim));
    let d = place.w;
    let at = params.x_offset + dot(place.xyz, params.x_stride.xyz);
    let own = x[at + d * params.x_stride.w];
    if (d >= 2u * params.half) {
        out[e] = own;
        return;
    }
    let interleaved = params.interleaved != 0u;
    let second = select(d >= params.half, d % 2u == 1u, interleaved);
    let i = select(d % params.half, d / 2u, interleaved);
    let partner = select(select(d + params.half, i, second), d ^ 1u, interleaved);
    let given = positions[params.positions_offset + place.x * params.position_batch + place.z * params.position_row];
    let entry = u32(clamp(given, 0, i32(params.table_rows) - 1)) * params.half + i;
    let turned = x[at + partner * params.x_stride.w] * sin_table[params.sin_offset + entry];
    let kept = own * cos_table[params.cos_offset + entry];
    out[e] = select(kept - turned, kept + turned, second);
}
