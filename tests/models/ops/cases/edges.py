"""Edge values of element-wise operators: NaN, infinities, overflow of intermediate results, large angles, and narrow integers
that leave the range of their type.

Floats that stay finite are of a size that the others' relative error shows. Deliberately not here: what ONNX leaves undefined.
"""
import numpy as np
from builder import Model, const, single, x

EDGES = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 88, -88, 88.8, -88.8, 104, -104, 1e-30, -1e-30, 1, -1, 0.5, -0.5, 20, -20], "f4")
ACTIVATIONS = [
    ("Relu", {}), ("Softplus", {}), ("Softsign", {}), ("Celu", {"alpha": 0.5}), ("Celu", {}), ("Elu", {}), ("Selu", {}),
    ("LeakyRelu", {"alpha": 0.1}), ("ThresholdedRelu", {}), ("HardSigmoid", {}), ("HardSwish", {}), ("Mish", {}), ("Tanh", {}),
    ("Sigmoid", {}), ("Gelu", {}), ("Gelu", {"approximate": "tanh"}), ("Abs", {}), ("Neg", {}), ("Sign", {}), ("Round", {}), ("Erf", {}),
]


def given(values):
    """A runtime input of these values."""
    return x(*values.shape, draw=lambda *_: values)


def float_cases():
    m = Model("edge_activations", opset=22)
    value = m.add(given(EDGES))
    yield m.result(*[m.op(op_type, value, **attrs) for op_type, attrs in ACTIVATIONS]).not_finite()
    m = Model("edge_extrema")
    a, b = m.add(given(EDGES.reshape(-1, 1))), m.add(given(EDGES))
    zero = const(0.0, "f4")
    yield m.result(m.op("Max", a, b), m.op("Min", a, b), m.op("Max", a, b, const(np.nan, "f4")), m.op("Max", b, zero),
                   m.op("Clip", b, const(-1.0, "f4"), const(6.0, "f4"))).not_finite()
    m = Model("edge_comparisons")
    a, b = m.add(given(EDGES.reshape(-1, 1))), m.add(given(EDGES))
    yield m.result(*[m.op(o, a, b) for o in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")], m.op("IsNaN", b),
                   m.op("IsInf", b), m.op("Where", m.op("Less", a, b), a, b)).not_finite()
    m = Model("edge_large_angles")
    value = m.add(given(np.array([1e4, -1e4, 12345.678, 1e5, -2e5, 1e7, 1e10, -1e20, 1e30, 3e38], "f4")))
    yield m.result(m.op("Sin", value), m.op("Cos", value), m.op("Tan", value))
    m = Model("edge_small_divisors")
    yield m.result(m.op("Div", given(np.array([0, 1e-38, 1e-39, 3e-38], "f4")), given(np.full(4, 1e-38, "f4") / 4)))
    for alpha in (0.5, 2.0):
        yield single(f"swish_alpha_{alpha}", "Swish", x(3, 37), opset=24, alpha=alpha)


def integer_cases():
    m = Model("wrap_u8", opset=18)
    a, b = (m.add(given(np.array(v, "u1"))) for v in ([3, 200, 255, 0, 16], [5, 100, 255, 1, 17]))
    results = [m.op("Sub", a, b), m.op("Add", a, b), m.op("Mul", a, b), m.op("BitwiseNot", a), m.op("BitShift", a, b, direction="LEFT")]
    results += [m.op("BitShift", m.op("Add", a, b), const(1, "u1"), direction="RIGHT")]
    floats = [m.op("Cast", value, to=1) for value in results[:4]]
    yield m.result(*results, *floats, m.op("Greater", m.op("Sub", a, b), const(250, "u1")))
    m = Model("wrap_i8", opset=18)
    a, b = (m.add(given(np.array(v, "i1"))) for v in ([-128, 100, 127, -1], [1, 100, 127, -128]))
    results = [m.op("Neg", a), m.op("Abs", a), m.op("Sub", a, b), m.op("Add", a, b), m.op("Mul", a, b), m.op("BitwiseNot", a)]
    yield m.result(*results, *[m.op("Cast", value, to=1) for value in results], m.op("Less", m.op("Add", a, b), const(0, "i1")))
    m = Model("pad_large_integers")
    wide, narrow = m.add(given(np.array([[3, -1, 5]]))), m.add(given(np.array([2, -2], "i4")))
    yield m.result(m.op("Pad", wide, const([0, 1, 1, -1]), const(16777217)), m.op("Pad", narrow, const([1, 2]), const(-(2**31) + 1, "i4")),
                   m.op("Pad", wide, const([0, 2, 0, 0]), const(2**31 - 1)), m.op("Pad", narrow, const([1, 0]), const(2**30, "i4")))
    m = Model("cast_i32_narrow")
    value = m.add(given(np.array([300, -1, 128, -129, 65536, 7], "i4")))
    yield m.result(*[m.op("Cast", m.op("Cast", value, to=to), to=1) for to in (2, 3)])
    m = Model("cast_f32_i64_f32")
    value = m.add(given(np.array([3e9, -3e9, 1.75, -1.75, 1e12, -0.5], "f4")))
    yield m.result(m.op("Cast", m.op("Cast", value, to=7), to=1))


def cases():
    yield from float_cases()
    yield from integer_cases()
