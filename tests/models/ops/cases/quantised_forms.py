"""ONNX Runtime's operators on 8-bit integers that are no products, and its product with a weight that may be transposed.

Scales are powers of two, so that quotients are exact and halves are the same halves everywhere. Deliberately not here: the
standard QLinearConv and QLinearMatMul (quantised.py, quantised_products.py).
"""
import numpy as np
from builder import Model, const, integers, single, w, x

MS = dict(domain="com.microsoft")


def u8(*shape):
    return x(*shape, draw=integers(0, 256, np.uint8))


def scale(value):
    return const(value, np.float32)


def zero(value):
    return const(value, np.uint8)


def cases():
    pair = [u8(2, 5), scale(0.5), zero(120), u8(2, 5), scale(0.25), zero(3), scale(0.5), zero(7)]
    yield single("quantized_forms_add", "QLinearAdd", *pair, **MS)
    yield single("quantized_forms_mul", "QLinearMul", *pair[:6], scale(8.0), zero(100), **MS)
    one = [u8(1, 3, 4, 4), scale(0.5), zero(100), scale(0.25), zero(128)]
    yield single("quantized_forms_global_average", "QLinearGlobalAveragePool", *one, **MS)
    yield single("quantized_forms_average", "QLinearAveragePool", *one, kernel_shape=[2, 2], strides=[2, 2], **MS)
    yield single("quantized_forms_leaky", "QLinearLeakyRelu", *one, alpha=0.25, **MS)
    # Inputs from -3.75 to 4.19, where ONNX Runtime's sigmoid is right to far less than a step.
    small = x(2, 7, draw=integers(40, 168, np.uint8))
    yield single("quantized_forms_sigmoid", "QLinearSigmoid", small, scale(0.0625), zero(100), scale(1 / 256), zero(0), **MS)
    m = Model("quantized_forms_softmax")
    yield m.result(m.op("QLinearSoftmax", u8(2, 3, 6), scale(0.0625), zero(100), scale(1 / 256), zero(0), axis=-1, opset=13, **MS))
    yield single("quantized_forms_concat", "QLinearConcat", scale(0.5), zero(10), u8(2, 3), scale(0.25), zero(4), u8(2, 2), scale(1.0), zero(130), axis=1, **MS)
    gemm = [u8(3, 9), scale(0.02), zero(113), w(4, 9, draw=integers(-128, 128, np.int8)), const([0.01, -0.02, 0.03, 0.005], np.float32),
            const([0, 0, 0, 0], np.int8), const([10, -400, 900, 0], np.int32)]
    yield single("quantized_forms_gemm", "QGemm", *gemm, scale(0.3), zero(99), transB=1, **MS)
    yield single("quantized_forms_gemm_float", "QGemm", *gemm, transB=1, **MS)
