"""NaN, infinities and numbers at the ends of the range where algebra would give something else, and reductions of nothing.

Deliberately not here: what a single operator makes of such values (edges.py, numerics.py).
"""
import numpy as np
from onnx import TensorProto

from builder import Model, const, x

INF = np.float32("inf")


def extreme(rng, shape):
    return np.array([1.5, -2, 0, -0.0, np.nan, INF, -INF, 1e30, -1e-30, 1e37], np.float32).reshape(shape)


def scalar(value):
    return const(value, np.float32)


def products():
    """A product with 0 is NaN where the other factor is, or is infinite; so are quotients of and by 0."""
    m = Model("extremes_products", 20)
    v = m.add(x(10, draw=extreme))
    zero, one = m.add(scalar(0.0)), m.add(scalar(1.0))
    exp = m.op("Exp", v)
    tiny = m.op("Mul", v, scalar(1e-30))
    negated = m.op("Neg", v)
    shape = m.op("Mul", v, m.op("Expand", zero, const([10])))
    return m.result(
        m.op("Mul", v, zero), m.op("Mul", scalar(-0.0), v), m.op("Add", m.op("Mul", exp, zero), v), shape,
        m.op("Div", zero, v), m.op("Div", v, v), m.op("Div", v, zero), m.op("Mul", tiny, scalar(1e-30)),
        m.op("Div", m.op("Div", v, scalar(1e30)), scalar(1e30)), m.op("Div", one, m.op("Div", one, v)),
        m.op("Mul", m.op("Relu", negated), zero), m.op("HardSigmoid", v, alpha=0.0, beta=0.3), m.op("Elu", v, alpha=0.0),
        m.op("LeakyRelu", v, alpha=0.0), m.op("Mul", v, const([0, 1] * 5, np.float32)),
    ).not_finite()


def quotients():
    """A quotient whose divisor's reciprocal leaves the range, whatever broadcasts, and in the body of a recurrence."""
    m = Model("extremes_quotients", 17)
    tiny = lambda *shape: x(*shape, draw=lambda rng, shape: np.resize(np.array([1e-39, 3e-39, 0, 1e-38], np.float32), shape))
    small = lambda *shape: x(*shape, draw=lambda rng, shape: np.resize(np.array([2.5e-39, 1e-39, 2e-38, 3e-39], np.float32), shape))
    huge = const([3e38, 2e38, 1, 1e-39], np.float32)
    a = m.add(tiny(1, 4))
    return m.result(
        m.op("Div", a, small(4)), m.op("Div", m.add(tiny(4, 1)), small(4)), m.op("Div", m.add(tiny(1)), small()), m.op("Div", m.add(tiny()), small(4, 1)),
        m.op("Div", a, const([2.5e-39, 1, 1e-38, 5e-39], np.float32)), m.op("Div", m.add(huge), m.add(x(4, draw=lambda rng, shape: np.array([2e38, 3e38, 1e-38, 1e-39], np.float32)))),
        m.op("Div", m.add(tiny(2, 4)), const([[1e-39], [4.0]], np.float32)), m.op("Div", a, const(2.5e-39, np.float32)),
    )


def differences():
    """A difference of a value with itself is NaN where the value is, or is infinite, however it is spelled."""
    m = Model("extremes_differences", 13)
    v = m.add(x(10, draw=extreme))
    exp, negated, three = m.op("Exp", v), m.op("Neg", v), m.add(scalar(3.0))
    minus = m.op("Sub", v, v)
    nothing = m.add(scalar(0.0))
    large, small = m.add(x(10, draw=lambda rng, shape: np.full(shape, 1e20, np.float32))), m.add(scalar(1e-5))
    return m.result(
        m.op("Add", m.op("Sub", v, m.op("Min", v, large)), small), m.op("Sub", m.op("Add", v, m.op("Neg", large)), small),
        m.op("Mul", m.op("Mul", v, large), scalar(1e-25)), minus, m.op("Add", v, negated), m.op("Add", m.op("Mul", v, scalar(-1.0)), v),
        m.op("Add", m.op("Sub", exp, m.op("Exp", v)), v), m.op("Sub", m.op("Add", v, three), v), m.op("Sub", m.op("Add", v, three), three),
        m.op("Sub", v, m.op("Min", v, v)), m.op("Sub", exp, m.op("Abs", exp)), m.op("Sub", exp, m.op("Relu", exp)),
        m.op("Sum", v, negated, v), m.op("Mean", v, negated), m.op("Sub", m.op("Mul", v, scalar(2.0)), m.op("Mul", v, scalar(3.0))),
        m.op("Cast", m.op("Equal", minus, nothing), to=TensorProto.FLOAT), m.op("Cast", m.op("IsNaN", minus), to=TensorProto.FLOAT),
        m.op("Cast", m.op("Less", m.op("Add", v, three), v), to=TensorProto.FLOAT),
    ).not_finite()


def chosen():
    """A blend with a truth value keeps NaN and infinities of what it does not choose."""
    m = Model("extremes_blend", 13)
    v, w = m.add(x(10, draw=extreme)), m.add(x(10))
    mask = m.op("Cast", m.op("Greater", w, scalar(0.0)), to=TensorProto.FLOAT)
    rest = m.op("Sub", scalar(1.0), mask)
    return m.result(m.op("Add", m.op("Mul", v, mask), m.op("Mul", w, rest)),
                    m.op("Add", w, m.op("Mul", mask, m.op("Sub", v, w)))).not_finite()


def powers():
    """Powers with exponents that a root, a square or 1 might stand for."""
    m = Model("extremes_powers", 13)
    v = m.add(x(10, draw=extreme))
    root = m.op("Sqrt", v)
    powers = [m.op("Pow", v, scalar(e)) for e in (0.0, 0.5, -0.5, 1.0, 2.0, 3.0, -1.0, -2.0)]
    return m.result(*powers, m.op("Pow", scalar(1.0), v), m.op("Mul", root, root), m.op("Pow", root, scalar(2.0))).not_finite()


def remainders():
    """A scalar stays the dividend."""
    m = Model("extremes_remainders", 13)
    floats, whole = m.add(x(10, draw=extreme)), m.add(const(17, np.int32))
    divisors = m.add(x(6, draw=lambda rng, shape: np.array([3, -4, 5, 7, -20, 100], np.int32)))
    return m.result(m.op("Mod", scalar(0.0), floats, fmod=1), m.op("Mod", scalar(7.5), floats, fmod=1),
                    m.op("Mod", whole, divisors), m.op("Mod", whole, divisors, fmod=1)).not_finite()


REDUCTIONS = {"ReduceMax": -INF, "ReduceMin": INF, "ReduceProd": 1, "ReduceMean": 0, "ReduceL1": 0, "ReduceL2": 0,
              "ReduceSumSquare": 0, "ReduceLogSum": -INF, "ReduceLogSumExp": -INF, "ReduceSum": 0}
WHOLE = {"ReduceMax": -2 ** 31, "ReduceMin": 2 ** 31 - 1, "ReduceProd": 1, "ReduceSum": 0}


def nothing():
    """Reductions of no elements. The pinned ONNX Runtime gives 0 for extrema of integers, 1.32.0 what stands here."""
    m = Model("reduce_nothing", 20)
    results, expected = [], []
    for dtype, kinds in ((np.float32, REDUCTIONS), (np.int32, WHOLE)):
        v = m.add(x(2, 3, draw=lambda rng, shape: np.ones(shape, dtype)))
        empty = m.op("Slice", v, const([0]), const([0]), const([1]))
        for k, (kind, value) in enumerate(kinds.items()):
            results.append(m.op(kind, empty, const([1]), keepdims=k % 2))
            expected.append(np.full((2, 1) if k % 2 else (2,), value, dtype))
    count = m.op("ReduceProd", m.op("Shape", m.op("ReduceSum", results[0], keepdims=0)), keepdims=0)
    results.append(m.op("Cast", count, to=TensorProto.FLOAT))
    expected.append(np.float32(1))
    return m.result(*results).by_formula(lambda *_: tuple(expected)).not_finite()


def cases():
    yield products()
    yield quotients()
    yield differences()
    yield chosen()
    yield powers()
    yield remainders()
    yield nothing()
