"""Models whose `value_info` is wrong, as tools leave it that change a model: it decides nothing; and outputs that say no type.

The results are those of the same model without it. Deliberately not here: inputs and outputs whose declarations are wrong, which is
an error (misfits.py).
"""
import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from builder import Model, const, integers, x


class Noted(Model):
    """A model with notes: {value: (element type, shape)}."""

    def note(self, notes):
        # ONNX's checker infers shapes, and rejects what does not agree with them.
        self.standard, self.notes = False, [helper.make_tensor_value_info(value, *what) for value, what in notes.items()]

    def run(self, proto):
        plain = type(proto)()
        plain.CopyFrom(proto)
        del plain.graph.value_info[:]
        return super().run(plain)

    def proto(self, outputs):
        proto = super().proto(outputs)
        proto.graph.value_info.extend(self.notes)
        return proto


def rounding():
    """A value that a note calls a half is a float, which the conversion rounds."""
    m = Noted("noted_half")
    value = m.op("Neg", m.add(x(40)))
    rounded = m.op("Cast", value, to=TensorProto.FLOAT16)
    m.note({value: (TensorProto.FLOAT16, [40])})
    return m.result(m.op("Cast", rounded, to=TensorProto.FLOAT))


def kinds():
    """A quotient of integers that a note calls floats, and the other way round."""
    m = Noted("noted_kinds")
    whole, real = m.op("Neg", m.add(x(12, draw=integers(-9, 10)))), m.op("Neg", m.add(x(12)))
    m.note({whole: (TensorProto.FLOAT, [12]), real: (TensorProto.INT64, [12])})
    return m.result(m.op("Div", whole, const([4])), m.op("Div", real, const([4], np.float32)))


def scales():
    """A scale for every channel that a note calls one number."""
    m = Noted("noted_scales")
    v, given = m.add(x(2, 3, 4)), m.add(x(3, draw=lambda rng, shape: np.array([0.01, 0.02, 0.05], np.float32)))
    scale, zero = m.op("Abs", given), m.add(const([128, 3, 250], np.uint8))
    quantised = m.op("QuantizeLinear", v, scale, zero, axis=1)
    m.note({scale: (TensorProto.FLOAT, [1])})
    return m.result(m.op("DequantizeLinear", quantised, scale, zero, axis=1))


def heads(name, shape, noted, **attributes):
    """Heads that are joined or apart, whatever the note says."""
    m = Noted(name, 23)
    v = m.op("Neg", m.add(x(*shape)))
    m.note({v: (TensorProto.FLOAT, noted)})
    return m.result(m.op("Attention", v, v, v, **attributes))


def held():
    """A note that would decide before any shape is inferred, of an axis from the end, of a place and of a diagonal."""
    m = Noted("noted_axes", 14)
    v, row = m.op("Neg", m.add(x(3, 4, 5))), m.op("Identity", m.add(x(4, draw=integers(0, 3))))
    m.note({v: (TensorProto.FLOAT, [12]), row: (TensorProto.INT64, [])})
    return m.result(m.op("CumSum", v, const(-2)), m.op("Trilu", v), m.op("Gather", v, row, axis=0))


def input_noted():
    """A note about an input, which its own declaration is above."""
    m = Noted("noted_input", 14)
    v = m.add(x(3, 4, 5))
    m.note({v: (TensorProto.FLOAT16, [60])})
    return m.result(m.op("CumSum", v, const(-1)))


class Untyped(Model):
    """A model whose outputs say neither type nor shape."""

    def proto(self, outputs):
        self.standard = False
        return super().proto([ValueInfoProto(name=output.name) for output in outputs])


def untyped():
    m = Untyped("noted_nothing")
    v = m.op("Neg", m.add(x(3, 4)))
    return m.result(v, m.op("ArgMax", v, axis=1), m.op("Greater", v, const([0], np.float32)))


def cases():
    yield untyped()
    yield rounding()
    yield kinds()
    yield scales()
    yield heads("noted_heads_apart", (1, 4, 6), [1, 2, 4, 3], q_num_heads=2, kv_num_heads=2)
    yield heads("noted_heads_joined", (1, 2, 4, 6), [1, 4, 12])
    yield held()
    yield input_noted()
