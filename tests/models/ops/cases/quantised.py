"""Quantised operators: narrow integers, exact sums, saturation and halves that round to even.

Deliberately not here: 4-bit and block-wise quantisation.
"""
import numpy as np
from builder import const, integers, single, uniform, x


def halves(rng, shape):
    """Multiples of 1/2, so that quotients lie on halves."""
    return (rng.integers(-600, 600, shape) / 2).astype(np.float32)


def f32(*values):
    return const(values[0] if len(values) == 1 else values, np.float32)


def u8(*shape):
    return x(*shape, draw=integers(0, 256, np.uint8))


def i8(*shape):
    return x(*shape, draw=integers(-128, 128, np.int8))


def cases():
    yield single("quantize_linear", "QuantizeLinear", x(4, 9, draw=halves), f32(1.0), const(7, np.uint8))
    yield single("quantize_linear_runtime_scale", "QuantizeLinear", x(3, 5, draw=halves),
                 x(draw=lambda rng, shape: np.array(3, np.float32)), const(-3, np.int8))
    # The smallest float, as masks have it, makes a scale of this size.
    yield single("quantize_linear_huge_scale", "QuantizeLinear",
                 x(3, 5, draw=lambda rng, shape: np.where(rng.random(shape) < 0.5, -3.4028235e38, halves(rng, shape)).astype(np.float32)),
                 f32(1.3344406e36), const(127, np.int8))
    yield single("quantize_linear_axis", "QuantizeLinear", x(2, 3, 4, draw=halves), f32(0.7, 2.0, 3.1),
                 const([1, 200, 84], np.uint8), axis=1)
    yield single("dequantize_linear", "DequantizeLinear", i8(3, 7), f32(0.03), const(-5, np.int8))
    yield single("dequantize_linear_axis", "DequantizeLinear", u8(2, 3, 4), f32(0.5, 0.25), const([1, 250], np.uint8),
                 axis=0)
    yield single("dynamic_quantize_linear", "DynamicQuantizeLinear", x(3, 8, draw=uniform(-2, 5)), outputs=3)
    yield single("matmul_integer_long", "MatMulInteger", u8(2, 2, 600), i8(600, 3), const(12, np.uint8),
                 const(-7, np.int8))
    yield single("qlinear_matmul", "QLinearMatMul", u8(3, 8), f32(0.02), const(113, np.uint8), u8(8, 4), f32(0.03),
                 const(97, np.uint8), f32(0.11), const(100, np.uint8))
    yield single("conv_integer", "ConvInteger", u8(1, 3, 5, 5), u8(4, 3, 3, 3), const(3, np.uint8), const(131, np.uint8),
                 pads=[1, 1, 1, 1])
    yield single("qlinear_conv", "QLinearConv", u8(1, 4, 5, 5), f32(0.02), const(120, np.uint8), i8(4, 2, 3, 3),
                 f32(0.01, 0.02, 0.03, 0.04), const([0, 0, 0, 0], np.int8), f32(0.09), const(110, np.uint8),
                 const([10, -400, 900, 0], np.int32), group=2, pads=[1, 0, 0, 1], strides=[2, 1])
