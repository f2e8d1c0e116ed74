// conv.wgsl -- parameters and buffers of the convolutions as products. Linked behind the body.
//
// Formula:   out[b, g, n0 + n, oh, ow] = epilogue(sum_k x[b, g, c, oh * stride_h + kh * dilation_h - pad_h,
//                                                         ow * stride_w + kw * dilation_w - pad_w] * W[g, k, n0 + n])
//            k = (c * kernel_h + kh) * kernel_w + kw, x is 0 outside; 0 <= n < n_count; output pixel m = oh * out_w + ow.
//            params.m pixels and params.k taps. 1-D: height 1. 1x1 stride 1 without padding: use a product.
// Bindings:  1 weights: per group, panels of PANEL output channels, as in product.wgsl. Group g starts at texel
//                       weight_base + g * weight_group_stride.
//            2 out, 3 x: f32; offsets and strides in elements; the pixels of a channel are contiguous rows.
// Dispatch:  (ceil(out_h * out_w / TILE_M), ceil(n_count / TILE_N), images * groups * parts), z = image * groups + group.
// Scale:     x_scale, as in product.wgsl.
// Parts:     of one image, as in product.wgsl; their sums lie out_stride_batch apart.
// Expects:   epilogue, with batch = image, m = output pixel and n = absolute output channel = group * n_per_group + n0 + n.

struct Params {
    n_count: u32, n0: u32, n_per_group: u32, groups: u32,
    weight_base: u32, weight_group_stride: u32, page_shift: u32, channels: u32,
    in_h: u32, in_w: u32, out_h: u32, out_w: u32,
    kernel_h: u32, kernel_w: u32, stride_h: u32, stride_w: u32,
    dilation_h: u32, dilation_w: u32, pad_h: u32, pad_w: u32,
    x_offset: u32, x_stride_batch: u32, x_stride_channel: u32, out_offset: u32,
    out_stride_batch: u32, out_stride_channel: u32, parts: u32, part: u32,
    x_scale: f32, m: u32, k: u32, pad_0: u32,
    operands: array<vec4<u32>, 4>,
    slots: array<vec4<u32>, 16>,
}

// Where the weights of a workgroup start, and where its results go.
fn weights_of(z: u32) -> u32 { return params.weight_base + z % params.groups * params.weight_group_stride; }

fn out_base_of(z: u32, part: u32) -> u32 {
    return params.out_offset + (z / params.groups + part) * params.out_stride_batch;
}

// Writes element (m, n0 + column), if there is one.
fn store(out_base: u32, z: u32, m: u32, column: u32, value: f32) {
    if (m < params.m && column < params.n_count) {
        let n = z % params.groups * params.n_per_group + params.n0 + column;
        out[out_base + n * params.out_stride_channel + m] = epilogue(value, z / params.groups, m, n);
    }
}
