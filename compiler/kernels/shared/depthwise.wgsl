// depthwise.wgsl -- parameters and buffers of the depthwise convolutions. Linked behind the body.
//
// Formula:   out[b, n, oh, ow] = epilogue(sum_{kh, kw} x[b, n / multiplier, oh * stride_h + kh * dilation_h - pad_h,
//                                                        ow * stride_w + kw * dilation_w - pad_w] * W[n, kh, kw])
//            x is 0 outside; n = n0 + 0 .. n_count - 1; output pixel m = oh * out_w + ow.
// Accuracy:  that of product.wgsl, the taps being k.
// Bindings:  1 weights: taps = kernel_h * kernel_w elements per output channel, those of n0 from texel weight_base on: quad t / 4 of
//                       filter n - n0 (filter.wgsl), component t % 4, t = kh * kernel_w + kw.
//            2 out, 3 x: f32; offsets and strides in elements; pixels of a channel are contiguous.
// Expects:   epilogue, with batch = image, m = output pixel and n = absolute output channel.

struct Params {
    n_count: u32, n0: u32, multiplier: u32, weight_base: u32,
    page_shift: u32, in_h: u32, in_w: u32, out_h: u32,
    out_w: u32, kernel_h: u32, kernel_w: u32, stride_h: u32,
    stride_w: u32, dilation_h: u32, dilation_w: u32, pad_h: u32,
    pad_w: u32, x_offset: u32, x_stride_batch: u32, x_stride_channel: u32,
    out_offset: u32, out_stride_batch: u32, out_stride_channel: u32, pad_0: u32,
    operands: array<vec4<u32>, 4>,
    slots: array<vec4<u32>, 16>,
}
