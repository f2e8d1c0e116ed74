"""MaxPool, AveragePool and their global forms.

Inputs of maxima have no ties. Deliberately not here: MaxPool's index output, and ceil_mode together
with count_include_pad, where implementations differ.
"""
from builder import distinct, single, x


def cases():
    def largest(name, *shape, **attrs):
        return single(f"maxpool_{name}", "MaxPool", x(*shape, draw=distinct), **attrs)

    def average(name, *shape, **attrs):
        return single(f"averagepool_{name}", "AveragePool", x(*shape), **attrs)

    ones = [1, 1, 1, 1]
    yield largest("2d", 1, 3, 8, 8, kernel_shape=[2, 2], strides=[2, 2])
    yield largest("2d_pads", 1, 3, 9, 9, kernel_shape=[3, 3], strides=[2, 2], pads=ones)
    yield largest("2d_asymmetric_pads", 1, 3, 8, 8, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    yield largest("2d_ceil", 1, 3, 8, 8, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    yield largest("2d_overlap", 1, 5, 7, 6, kernel_shape=[3, 2])
    yield largest("2d_dilated", 1, 3, 9, 9, kernel_shape=[2, 2], dilations=[3, 2])
    yield largest("2d_same_upper", 1, 3, 7, 7, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER")
    yield largest("1d", 1, 4, 15, kernel_shape=[3], strides=[2], pads=[1, 1])
    yield average("2d", 1, 3, 8, 8, kernel_shape=[2, 2], strides=[2, 2])
    yield average("2d_pads", 1, 3, 9, 9, kernel_shape=[3, 3], strides=[2, 2], pads=ones)
    yield average("2d_count_include_pad", 1, 3, 9, 9, kernel_shape=[3, 3], strides=[2, 2], pads=ones, count_include_pad=1)
    yield average("2d_asymmetric_pads", 1, 5, 7, 6, kernel_shape=[3, 2], pads=[1, 0, 0, 1])
    yield average("2d_ceil", 1, 3, 8, 8, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    yield average("2d_same_lower", 1, 3, 7, 7, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER")
    yield average("1d", 1, 4, 15, kernel_shape=[3], strides=[3])
    yield average("1d_pads", 1, 4, 14, kernel_shape=[4], strides=[2], pads=[1, 2])
    yield single("global_averagepool", "GlobalAveragePool", x(1, 6, 7, 7))
    yield single("global_averagepool_1d", "GlobalAveragePool", x(2, 6, 11))
    yield single("global_averagepool_large", "GlobalAveragePool", x(1, 3, 33, 35))
    yield single("global_maxpool", "GlobalMaxPool", x(1, 6, 7, 7, draw=distinct))
