// conv_tiled.wgsl -- 2-D convolution, NCHW, implicit product with streamed texture weights, for GPUs with workgroup memory.
//
// Formula, bindings, parameters, dispatch and linked functions: shared/conv.wgsl. Tiles, whose rows are pixels, whose columns are
// channels and whose terms are taps: shared/tiled.wgsl. Lanes follow the pixels.

// A vector of four pixels, at a tap: top left input coordinates (negative ones wrapped around), the first element of the image,
// their place in the tile, the number of the tap and the tap, and the step from one tile to the next.
struct Rows {
    h: vec4<u32>,
    v: vec4<u32>,
    base: u32,
    quad: u32,
    k: u32,
    tap: vec3<u32>,
    step: vec3<u32>,
}

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

fn rows_at(z: u32, first_row: u32, index: u32, k_first: u32) -> Rows {
    let quad = index % ROW_QUADS;
    let k = k_first + index / ROW_QUADS;
    let pixel = min(first_row + rows_of(quad), vec4<u32>(params.m - 1u));
    let base = params.x_offset + z / params.groups * params.x_stride_batch +
               z % params.groups * params.channels * params.x_stride_channel;
    return Rows(pixel / params.out_w * params.stride_h - params.pad_h, pixel % params.out_w * params.stride_w - params.pad_w,
                base, quad, k, first_tap(k), first_tap(TILE_K));
}

// x under one tap of four pixels, zero outside.
fn fetched_rows(rows: Rows) -> vec4<f32> {
    let h = rows.h + rows.tap.y;
    let v = rows.v + rows.tap.z;
    let inside = (h < vec4<u32>(params.in_h)) & (v < vec4<u32>(params.in_w)) & vec4<bool>(rows.k < params.k);
    let i = rows.base + select(vec4<u32>(), rows.tap.x + h * params.in_w + v, inside);
    return select(vec4<f32>(), vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]), inside);
}

fn next_rows(rows: Rows) -> Rows {
    var next = rows;
    next.k += TILE_K;
    next.tap = add_tap(rows.tap, rows.step);
    return next;
}

fn lanes_along_m() -> bool { return true; }
