"""Operands and results that are left out by an empty name at the end of their list, and operators in the form of old versions.

Exporters write such names where a later version has more operands. Deliberately not here: names left out in the middle, which
other groups have (Clip, Resize, Pad, LSTM, Attention).
"""
import numpy as np
from builder import Model, const, w, x


def at_the_end():
    m = Model("left_out_at_the_end", 17)
    image, rows = m.add(x(1, 2, 6, 5)), m.add(x(3, 4, 5))
    scale = const(np.linspace(0.5, 1.5, 5), np.float32)
    normal, _, deviation = m.op("LayerNormalization", rows, scale, "", outputs=3)
    m.nodes[-1].output[1] = ""
    return m.result(
        m.op("Conv", image, w(3, 2, 2, 2), ""), m.op("ConvTranspose", image, w(2, 3, 2, 2), ""), normal, deviation,
        m.op("Dropout", rows, "", ""), m.op("ReduceSum", rows, ""), m.op("Trilu", rows, ""),
        m.op("Gemm", m.op("Reshape", rows, const([12, 5])), w(5, 3), ""), m.op("Clip", rows, const(-0.5, np.float32), ""),
        m.op("QuantizeLinear", rows, const(0.03, np.float32), ""))


def two_ways_at_10():
    """Bounds were attributes of Clip up to version 10: what is made of other operators says them so."""
    m = Model("quantize_opset_10", 10)
    v, scale, zero = m.add(x(2, 6, 5)), m.add(const(0.05, np.float32)), m.add(const(120, np.uint8))
    whole = m.op("QuantizeLinear", v, scale, zero)
    return m.result(whole, m.op("DequantizeLinear", whole, scale, zero))


def cases():
    yield at_the_end()
    yield two_ways_at_10()
