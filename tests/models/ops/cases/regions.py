"""Operators with a kernel of their own on regions and shifted places, and what is said in terms of others beside them.

RoiAlign, MaxRoiPool, MaxUnpool, DeformConv, TensorScatter, Det, STFT. ONNX Runtime has no DeformConv and
no TensorScatter: these take ONNX's reference evaluator. Deliberately not here: regions with a batch entry
outside, which ONNX leaves undefined.
"""
import numpy as np

from builder import Model, const, distinct, normal, scaled, single, uniform, w, x


def corners(size):
    """Regions (x1, y1, x2, y2), some beyond an image of this size, none turned around."""
    def draw(rng, shape):
        first = rng.uniform(-2, 0.7 * size, (shape[0], 2))
        return np.concatenate([first, first + rng.uniform(0.2, 0.8 * size, (shape[0], 2))], 1).astype(np.float32)
    return draw


def roi_align(name, regions=3, opset=16, size=9, **attrs):
    return single(f"roialign_{name}", "RoiAlign", x(2, 3, size, size + 2), x(regions, 4, draw=corners(size)),
                  const([0, 1, 1][:regions]), opset=opset, **attrs)


def max_roi_pool(name, rows, columns, scale=1.0, size=14, regions=6):
    def draw(rng, shape):
        entries = rng.integers(0, 2, (shape[0], 1)).astype(np.float32)
        return np.concatenate([entries, corners(size / scale)(rng, shape)], 1)
    return single(f"maxroipool_{name}", "MaxRoiPool", x(2, 3, size, size + 3, draw=distinct), x(regions, 5, draw=draw),
                  pooled_shape=[rows, columns], spatial_scale=scale)


def unpool(name, image, output=None, **attrs):
    m = Model(f"maxunpool_{name}")
    values, places = m.op("MaxPool", x(*image, draw=distinct), outputs=2, **attrs)
    operands = [values, places] if output is None else [values, places, const(output)]
    return m.result(m.op("MaxUnpool", *operands, **attrs))


def deform_conv(name, groups=1, offset_groups=1, mask=False, bias=False, channels=4, outputs=4, **attrs):
    m = Model(f"deformconv_{name}", 19)
    taps = int(np.prod(attrs["kernel_shape"]))
    rows, columns = attrs.pop("windows")
    operands = [x(2, channels, 6, 7), w(outputs, channels // groups, *attrs["kernel_shape"]),
                x(2, offset_groups * taps * 2, rows, columns, draw=uniform(-2, 2)),
                w(outputs, draw=normal) if bias else "",
                x(2, offset_groups * taps, rows, columns, draw=uniform(0, 1)) if mask else ""]
    while operands[-1] == "":
        operands.pop()
    return m.result(m.op("DeformConv", *operands, group=groups, offset_group=offset_groups, **attrs)).by_reference()


def tensor_scatter(name, cache, update, places, **attrs):
    operands = [x(*cache), x(*update)] + ([const(places)] if places is not None else [])
    return single(f"tensorscatter_{name}", "TensorScatter", *operands, opset=24, **attrs).by_reference()


def stft(name, signal, step, length=None, window=None, opset=17, **attrs):
    operands = [x(*signal), const(step), "" if window is None else window]
    if length is not None:
        operands.append(const(length))
    return single(f"stft_{name}", "STFT", *operands, opset=opset, **attrs)


def det_of_large():
    m = Model("det_49_rows")
    return m.result(m.op("Det", m.op("Expand", x(1, 1), const([49, 49]))))


def region_head():
    """A convolution, regions of it, and a product over every region."""
    m = Model("block_region_head", 16)
    features = m.op("Relu", m.op("Conv", x(1, 3, 12, 12), w(8, 3, 3, 3), pads=[1, 1, 1, 1]))
    regions = m.op("RoiAlign", features, x(4, 4, draw=corners(24)), const([0, 0, 0, 0]), output_height=3, output_width=3,
                   sampling_ratio=2, spatial_scale=0.5)
    return m.result(m.op("Gemm", m.op("Relu", m.op("Flatten", regions)), w(72, 5), w(5, draw=normal)))


def cases():
    yield roi_align("opset_10", opset=10, output_height=2, output_width=3, sampling_ratio=2)
    yield roi_align("adaptive", output_height=3, output_width=2)
    yield roi_align("adaptive_opset_10", opset=10, output_height=2, output_width=2, spatial_scale=0.5)
    yield roi_align("corner_pixels", output_height=4, output_width=4, sampling_ratio=1, spatial_scale=0.75,
                    coordinate_transformation_mode="output_half_pixel")
    yield roi_align("max", output_height=2, output_width=2, sampling_ratio=3, mode="max")
    yield roi_align("max_adaptive", output_height=3, output_width=3, mode="max")
    yield max_roi_pool("square", 3, 3)
    yield max_roi_pool("rectangular", 2, 7)
    yield max_roi_pool("scaled", 4, 3, scale=0.25)
    yield max_roi_pool("many_bins", 49, 3, size=5, regions=3)
    yield max_roi_pool("65_bins", 65, 1, size=5, regions=1)
    yield unpool("1d", (1, 2, 9), kernel_shape=[3], strides=[3])
    yield unpool("2d", (2, 2, 6, 8), kernel_shape=[2, 2], strides=[2, 2])
    yield unpool("2d_overlap", (1, 2, 5, 5), kernel_shape=[3, 3], strides=[1, 1])
    yield unpool("2d_pads", (1, 2, 6, 6), kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1])
    yield unpool("3d", (1, 2, 4, 2, 4), kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    yield unpool("same_output_shape", (1, 2, 4, 6), output=[1, 2, 4, 6], kernel_shape=[2, 2], strides=[2, 2])
    yield unpool("larger_output_shape", (1, 1, 5, 5), output=[1, 1, 5, 5], kernel_shape=[2, 2], strides=[2, 2])
    yield single("det", "Det", x(5, 5))
    yield single("det_1x1", "Det", x(3, 1, 1))
    yield single("det_48_rows", "Det", x(48, 48, draw=scaled))
    yield single("det_batches", "Det", x(2, 3, 9, 9))
    yield single("det_exchanged_rows", "Det", const([[0, 2, 1], [3, 0, 0], [0, 0.5, 4]], np.float32))
    yield det_of_large()
    yield deform_conv("plain", kernel_shape=[3, 3], windows=(4, 5))
    yield deform_conv("groups", groups=2, offset_groups=2, mask=True, bias=True, kernel_shape=[3, 2], strides=[2, 1],
                      pads=[1, 0, 1, 1], windows=(3, 7))
    yield deform_conv("dilated", offset_groups=4, bias=True, outputs=3, kernel_shape=[2, 2], dilations=[2, 3], pads=[1, 1, 0, 1],
                      windows=(5, 6))
    yield tensor_scatter("linear", (2, 3, 6, 4), (2, 3, 2, 4), [1, 4])
    yield tensor_scatter("circular_axis_1", (3, 5, 4), (3, 3, 4), [4, 0, 3], mode="circular", axis=1)
    yield tensor_scatter("from_start", (2, 6, 3), (2, 2, 3), None)
    # ONNX infers the shape of a two-sided transform where the attribute is left out.
    yield stft("frames", (2, 40, 1), 8, 16, onesided=1)
    yield stft("odd_length", (1, 30, 1), 5, 9, onesided=1)
    yield stft("window", (1, 48, 1), 12, None, w(16, draw=uniform(0.2, 1)), onesided=1)
    yield stft("two_sided", (1, 24, 1), 4, 8, onesided=0)
    # Of complex signals ONNX Runtime gives numbers that are not finite.
    yield stft("complex", (1, 24, 2), 6, 12, w(12, draw=uniform(0.2, 1)), onesided=0).by_reference()
    yield single("global_lppool", "GlobalLpPool", x(2, 3, 5, 6))
    yield single("global_lppool_1", "GlobalLpPool", x(1, 4, 9), p=1)
    yield single("global_lppool_3", "GlobalLpPool", x(1, 4, 3, 3, 2), p=3)
    yield region_head()
