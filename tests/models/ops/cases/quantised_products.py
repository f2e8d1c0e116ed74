"""Products and convolutions of 8-bit integers with constant weights, whose sums are longer than f32 adds up exactly in one piece.

Deliberately not here: weights that are computed (quantised.py).
"""
import numpy as np
from builder import Model, const, integers, single, uniform, w, x

EXTREME = dict(draw=lambda rng, shape: rng.choice([-128, 127], shape).astype(np.int8))


def u8(*shape):
    return x(*shape, draw=integers(0, 256, np.uint8))


def i8(*shape):
    return w(*shape, draw=integers(-128, 128, np.int8))


def f32(*values):
    return const(values[0] if len(values) == 1 else values, np.float32)


def dynamic(name):
    """A product as dynamic quantisation writes it: activations are quantised as they come, and the sum is scaled."""
    m = Model(name)
    scale = m.add(f32(*np.linspace(-0.02, 0.02, 6)))
    a, a_scale, a_zero = m.op("DynamicQuantizeLinear", x(3, 40, draw=uniform(-2, 5)), outputs=3)
    whole = m.op("MatMulInteger", a, i8(40, 6), a_zero, const([3, -7, 0, 5, 120, -128], np.int8))
    return m.result(m.op("Mul", m.op("Cast", whole, to=1), m.op("Mul", a_scale, scale)))


def cases():
    zero = const(200, np.uint8)
    yield single("integer_weight_matmul_extreme", "MatMulInteger", u8(2, 2, 1100), w(1100, 3, **EXTREME), zero, const(-7, np.int8))
    yield single("integer_weight_matmul_random", "MatMulInteger", u8(2, 900), i8(900, 5), zero)
    yield single("integer_weight_conv_extreme", "ConvInteger", u8(1, 70, 5, 5), w(2, 70, 3, 3, draw=lambda rng, shape: rng.choice([0, 255], shape).astype(np.uint8)),
                 zero, const(127, np.uint8), pads=[1, 0, 1, 1])
    yield single("integer_weight_conv_depthwise", "ConvInteger", u8(1, 6, 5, 5), w(6, 1, 3, 3, draw=integers(0, 256, np.uint8)), zero, const(99, np.uint8), group=6, strides=[2, 1])
    yield single("integer_weight_qlinear_matmul", "QLinearMatMul", u8(3, 700), f32(0.02), zero, i8(700, 4), f32(0.01, -0.02, 0.03, 0.001),
                 const([1, -2, 3, 0], np.int8), f32(0.9), const(104, np.uint8))
    yield single("integer_weight_qlinear_conv", "QLinearConv", u8(1, 4, 5, 5), f32(0.02), zero, i8(4, 2, 3, 3), f32(0.01, 0.02, 0.03, 0.04),
                 const([0, 0, 0, 0], np.int8), f32(0.09), const(110, np.uint8), const([10, -400, 900, 0], np.int32), group=2,
                 pads=[1, 0, 0, 1], strides=[2, 1])
    yield single("integer_weight_qlinear_conv_1x1", "QLinearConv", u8(1, 1, 7, 7), f32(0.00369), const(132, np.uint8), w(1, 1, 1, 1, draw=integers(0, 1, np.uint8)),
                 f32(0.00172), const(255, np.uint8), f32(0.00162), const(123, np.uint8))
    yield dynamic("integer_weight_dynamic")
