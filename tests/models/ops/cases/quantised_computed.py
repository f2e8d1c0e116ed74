"""What is quantized and computed: blocks whose shape the model does not note, kernels of one channel, scales of many columns.

Deliberately not here: constants in blocks (quantised_weights.py).
"""
import numpy as np
from builder import Model, const, integers, single, uniform, w, x
from onnx import TensorProto


def cases():
    m = Model("dequantised_blocks_of_computed", 21)
    v = m.add(x(3, 6, 10, draw=uniform(-9, 9)))
    positive = dict(draw=uniform(0.01, 0.1))
    cast = m.op("Cast", v, to=TensorProto.INT8)
    results = [m.op("DequantizeLinear", cast, w(*shape, **positive), axis=axis, block_size=block)
               for axis, block, shape in ((1, 2, (3, 3, 10)), (-1, 4, (3, 6, 3)), (-3, 2, (2, 6, 10)))]
    turned = m.op("Transpose", m.op("Transpose", v, perm=[2, 0, 1]), perm=[1, 2, 0])
    scale, zero = m.add(w(3, 6, 2, **positive)), m.add(w(3, 6, 2, draw=integers(90, 160, np.uint8)))
    whole = m.op("QuantizeLinear", turned, scale, zero, axis=2, block_size=5)
    yield m.result(*results, m.op("DequantizeLinear", whole, scale, zero, axis=-1, block_size=5))

    u8 = lambda *shape: x(*shape, draw=integers(0, 256, np.uint8))
    scale, zero = (lambda value: const(value, np.float32)), (lambda value: const(value, np.uint8))
    for name, image, kernel in (("one", (1, 1, 7, 7), (1, 1, 1, 1)), ("many", (2, 3, 5, 4), (1, 3, 1, 1))):
        yield single(f"qlinear_conv_computed_{name}_to_one", "QLinearConv", u8(*image), scale(0.02), zero(120), u8(*kernel), scale(0.03),
                     zero(100), scale(0.5), zero(90))
    # Scales of 16 KiB and more stay outside of what is decoded.
    m = Model("ms_integer_products_wide")
    columns, v, ms = 4100, m.add(x(1, 4)), dict(domain="com.microsoft")
    weight, each = m.add(w(4, columns, draw=integers(-60, 60, np.int8))), m.add(w(columns, **positive))
    whole, step, zero = m.op("DynamicQuantizeLinear", v, outputs=3)
    # Both are the same product; in the sum of all columns none is lost.
    results = [m.op("DynamicQuantizeMatMul", v, weight, each, **ms), m.op("MatMulIntegerToFloat", whole, weight, step, each, zero, **ms)]
    yield m.result(*[m.op("ReduceSum", m.op("Reshape", y, const([41, 100])), const([1]), keepdims=0) for y in results])
