// normalized.wgsl -- elements of a row from what is known of it: what is taken from all of them, a rounded part and the rest, and
// the means of the squares of what is left, times UP and DOWN twice (moments.wgsl).

// Writes every `step`-th column from `first` to `end`.
fn write_normalized(row: u32, first: u32, end: u32, step: u32, shift: f32, rest: f32, squares: vec2<f32>) {
    let place = coordinates(row, params.extents);
    let x_base = params.x_offset + dot(place, params.x_row_strides);
    let out_base = dot(place, params.out_row_strides);
    let is_large = too_large(squares.x);
    let scale = select(UP, DOWN, is_large);
    let variance = select(squares.x, squares.y, is_large);
    // Not `max`, which may take 0 for a NaN.
    let deviation = sqrt(select(variance, 0.0, variance < 0.0) + params.epsilon * scale * scale);
    for (var c = first; c < end; c += step) {
        let value = (x[x_base + c * params.x_stride] - shift - rest) * scale / deviation;
        out[out_base + c * params.out_stride] = epilogue(value, 0u, row, c);
    }
}
