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
    let line = e / params.head_dim;
    let d = e - line * params.head_dim;
    let head_line = line / params.rows;
    let row = line - head_line * params.rows;
    let batch = head_line / params.heads;
    let head = head_line - batch * params.heads;
    let at = params.x_offset + batch * params.x_stride.x + head * params.x_stride.y + row * params.x_stride.z;
    let own = x[at + d * params.x_stride.w];
    if (d >= 2u * params.half) {
        out[e] = own;
        return;
    }
    var i = d;
    var second = d >= params.half;
    var partner = d + params.half;
    if (params.interleaved != 0u) {
        i = d / 2u;
        second = (d & 1u) == 1u;
        partner = d ^ 1u;
    } else if (second) {
        i = d - params.half;
        partner = i;
    }
    let given = positions[params.positions_offset + batch * params.position_batch + row * params.position_row];
    let entry = u32(clamp(given, 0, i32(params.table_rows) - 1)) * params.half + i;
    let turned = x[at + partner * params.x_stride.w] * sin_table[params.sin_offset + entry];
    let kept = own * cos_table[params.cos_offset + entry];
    out[e] = select(kept - turned, kept + turned, second);
}
