"""Conv, ConvTranspose and BatchNormalization.

Deliberately not here: quantised convolutions (quantised.py).
"""
from builder import Model, normal, single, uniform, w, x


def conv(name, image, weight, has_bias=True, **attrs):
    operands = [image, weight] + ([w(weight.shape[0], draw=normal)] if has_bias else [])
    return single(f"conv_{name}", "Conv", *operands, **attrs)


def batch_norm(m, value, channels, epsilon=1e-5):
    """BatchNormalization with inference statistics."""
    return m.op("BatchNormalization", value, w(channels, draw=uniform(0.5, 1.5)), w(channels, draw=normal),
                w(channels, draw=normal), w(channels, draw=uniform(0.5, 2.0)), epsilon=epsilon)


def conv_batch_norm(name, relu, has_bias):
    m = Model(f"conv_batchnorm{name}")
    operands = [x(1, 4, 7, 7), w(8, 4, 3, 3)] + ([w(8, draw=normal)] if has_bias else [])
    y = batch_norm(m, m.op("Conv", *operands, pads=[1, 1, 1, 1]), 8)
    return m.result(m.op("Relu", y) if relu else y)


def batch_norm_alone(name, shape, epsilon):
    m = Model(f"batchnorm_{name}")
    return m.result(batch_norm(m, m.add(x(*shape)), shape[1], epsilon))


def conv_chain(name, *activations):
    """Conv followed by element-wise nodes."""
    m = Model(f"conv_2d_{name}")
    y = m.op("Conv", x(1, 5, 8, 8), w(6, 5, 3, 3), w(6, draw=normal), pads=[1, 1, 1, 1])
    for activation in activations:
        y = m.op(activation, y)
    return m.result(y)


def conv_residual():
    m = Model("conv_2d_residual_relu")
    image = m.add(x(1, 8, 6, 6))
    y = m.op("Conv", image, w(8, 8, 3, 3), w(8, draw=normal), pads=[1, 1, 1, 1])
    return m.result(m.op("Relu", m.op("Add", y, image)))


def transpose_cases():
    def up(name, image, weight, **attrs):
        return single(f"conv_transpose_{name}", "ConvTranspose", image, weight, w(weight.shape[1], draw=normal), **attrs)

    yield up("2d_k2s2", x(1, 4, 5, 5), w(4, 6, 2, 2), strides=[2, 2])
    yield up("2d_k4s4", x(1, 3, 3, 3), w(3, 5, 4, 4), strides=[4, 4])
    yield up("2d_k3s2_pads", x(1, 4, 5, 5), w(4, 6, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    yield up("2d_k3s1", x(1, 4, 5, 5), w(4, 6, 3, 3), pads=[1, 1, 1, 1])
    yield up("1d_k4s2", x(1, 4, 7), w(4, 3, 4), strides=[2], pads=[1, 1])
    yield single("conv_transpose_2d_grouped", "ConvTranspose", x(2, 4, 3, 4), w(4, 3, 3, 2), group=2, strides=[2, 1])
    yield single("conv_transpose_3d_dilated", "ConvTranspose", x(1, 2, 2, 3, 2), w(2, 3, 2, 2, 2), strides=[1, 2, 1],
                 dilations=[1, 1, 2], pads=[0, 1, 0, 1, 0, 1])
    yield single("conv_transpose_2d_weight_at_run_time", "ConvTranspose", x(1, 2, 3, 3), x(2, 2, 3, 3), strides=[2, 2])


def cases():
    yield single("causalconvwithstate", "CausalConvWithState", x(2, 4, 8), w(4, 1, 3), w(4), x(2, 4, 2), outputs=2, opset=27,
                 activation="silu").by_reference()
    yield single("causalconvwithstate_no_past", "CausalConvWithState", x(2, 4, 5), w(4, 1, 4), outputs=2, opset=27).by_reference()
    ones = [1, 1, 1, 1]
    yield conv("1d", x(1, 4, 20), w(6, 4, 3), pads=[1, 1])
    yield conv("1d_stride2", x(1, 4, 21), w(6, 4, 3), pads=[1, 1], strides=[2])
    yield conv("1d_dilated", x(1, 4, 20), w(6, 4, 3), pads=[2, 2], dilations=[2])
    yield conv("1d_causal_pads", x(1, 4, 15), w(4, 4, 4), pads=[3, 0])
    yield conv("1d_grouped", x(1, 6, 15), w(9, 2, 3), group=3)
    yield conv("1d_depthwise", x(1, 7, 15), w(7, 1, 5), group=7, pads=[2, 2])
    yield conv("2d", x(1, 4, 8, 8), w(8, 4, 3, 3), pads=ones)
    yield conv("2d_no_pads", x(1, 4, 8, 8), w(8, 4, 3, 3))
    yield conv("2d_no_bias", x(1, 4, 8, 8), w(8, 4, 3, 3), has_bias=False, pads=ones)
    yield conv("2d_1x1", x(1, 8, 6, 6), w(12, 8, 1, 1))
    yield conv("2d_1x1_stride2", x(1, 8, 7, 7), w(4, 8, 1, 1), strides=[2, 2])
    yield conv("2d_stride2", x(1, 4, 9, 9), w(6, 4, 3, 3), pads=ones, strides=[2, 2])
    yield conv("2d_stride_mixed", x(1, 4, 9, 10), w(6, 4, 3, 3), pads=ones, strides=[1, 3])
    yield conv("2d_dilated", x(1, 4, 10, 10), w(6, 4, 3, 3), pads=[2, 2, 2, 2], dilations=[2, 2])
    yield conv("2d_dilated_mixed", x(1, 3, 10, 11), w(4, 3, 3, 3), dilations=[1, 3])
    yield conv("2d_asymmetric_pads", x(1, 4, 8, 8), w(6, 4, 3, 3), pads=[0, 1, 2, 3])
    yield conv("2d_same_upper", x(1, 4, 9, 9), w(6, 4, 4, 4), auto_pad="SAME_UPPER", strides=[2, 2])
    yield conv("2d_same_lower", x(1, 4, 9, 9), w(6, 4, 4, 4), auto_pad="SAME_LOWER", strides=[2, 2])
    yield conv("2d_auto_valid", x(1, 4, 9, 9), w(6, 4, 3, 3), auto_pad="VALID")
    yield conv("2d_grouped", x(1, 8, 6, 6), w(12, 4, 3, 3), group=2, pads=ones)
    yield conv("2d_grouped_odd", x(1, 9, 6, 6), w(15, 3, 3, 3), group=3, pads=ones)
    yield conv("2d_depthwise", x(1, 8, 7, 7), w(8, 1, 3, 3), group=8, pads=ones)
    yield conv("2d_depthwise_odd", x(1, 5, 7, 7), w(5, 1, 3, 3), group=5, pads=ones, strides=[2, 2])
    yield conv("2d_depthwise_multiplier", x(1, 4, 7, 7), w(12, 1, 3, 3), group=4, pads=ones)
    yield conv("2d_7x7_stride2", x(1, 3, 15, 15), w(8, 3, 7, 7), pads=[3, 3, 3, 3], strides=[2, 2])
    yield conv("2d_rectangular", x(1, 4, 6, 11), w(5, 4, 1, 5), pads=[0, 2, 0, 2], strides=[1, 2])
    yield conv("2d_patches", x(1, 3, 12, 12), w(10, 3, 4, 4), strides=[4, 4])
    yield conv("2d_odd_channels", x(1, 5, 6, 6), w(7, 5, 3, 3), pads=ones)
    yield conv("2d_one_channel", x(1, 1, 6, 6), w(1, 1, 3, 3), pads=ones)
    yield conv("2d_batch2", x(2, 4, 6, 6), w(6, 4, 3, 3), pads=ones)
    yield conv("2d_whole_image", x(1, 4, 5, 5), w(6, 4, 5, 5))
    yield conv("3d", x(1, 2, 4, 4, 3), w(3, 2, 2, 3, 2), pads=[1, 1, 0, 0, 1, 1], strides=[1, 2, 1])
    yield conv("3d_grouped_dilated", x(2, 4, 5, 4, 4), w(4, 2, 2, 2, 2), group=2, dilations=[2, 1, 1])
    yield single("conv_2d_weight_at_run_time", "Conv", x(1, 3, 5, 5), x(4, 3, 3, 3), x(4), pads=ones, strides=[2, 1])
    yield single("conv_1d_grouped_weight_at_run_time", "Conv", x(1, 4, 9), x(6, 2, 3), group=2, auto_pad="SAME_LOWER")
    yield conv_chain("relu", "Relu")
    yield conv_chain("sigmoid_tanh", "Sigmoid", "Tanh")
    yield conv_residual()
    yield conv_batch_norm("", relu=False, has_bias=True)
    yield conv_batch_norm("_relu", relu=True, has_bias=False)
    yield batch_norm_alone("2d", (1, 6, 5, 5), 1e-5)
    yield batch_norm_alone("1d", (1, 6, 9), 1e-3)
    yield from transpose_cases()
