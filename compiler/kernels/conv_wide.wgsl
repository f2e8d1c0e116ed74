// conv_wide.wgsl -- 2-D convolution, NCHW, implicit product with streamed texture weights, for CPU adapters.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/conv.wgsl. Tiles, whose rows are pixels and whose terms are
// taps: shared/wide.wgsl. Results are those of conv_tiled.wgsl.

// Top left input coordinates of a pixel, the place of that, and the first place of its channels; unsigned wrap-around stands for
// negative numbers.
struct Row {
    h: u32,
    v: u32,
    corner: u32,
    base: u32,
}

struct Term {
    h: u32,
    v: u32,
    plane: u32,
}

fn row_at(z: u32, pixel: u32) -> Row {
    let base = params.x_offset + z / params.groups * params.x_stride_batch +
               z % params.groups * params.channels * params.x_stride_channel;
    let h = pixel / params.out_w * params.stride_h - params.pad_h;
    let v = pixel % params.out_w * params.stride_w - params.pad_w;
    return Row(h, v, base + h * params.in_w + v, base);
}

fn next_term(term: Term) -> Term {
    let v = term.v + params.dilation_w;
    let row_done = v >= params.kernel_w * params.dilation_w;
    let h = term.h + select(0u, params.dilation_h, row_done);
    let plane_done = h >= params.kernel_h * params.dilation_h;
    return Term(select(h, 0u, plane_done), select(v, 0u, row_done),
                term.plane + select(0u, params.x_stride_channel, plane_done));
}

fn x_at(row: Row, term: Term, is_term: bool) -> f32 {
    let inside = is_term && row.h + term.h < params.in_h && row.v + term.v < params.in_w;
    let tap = term.plane + term.h * params.in_w + term.v;
    return select(0.0, x[select(row.base, row.corner + tap, inside)], inside);
}
