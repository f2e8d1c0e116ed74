"""Norms and reductions of values at which plain formulas cancel, overflow, underflow or lose a NaN, and of float16.

Results are computed in double precision. Deliberately not here: ordinary values (norm.py, reduce.py, pool.py).
"""
import numpy as np
from builder import Model, const, half, single, uniform, x

AXES = const([-1])


def about(mean):
    return lambda rng, shape: (rng.standard_normal(shape) + mean).astype(np.float32)


def times(scale):
    return lambda rng, shape: (rng.standard_normal(shape) * scale).astype(np.float32)


def layer(v, axes, epsilon=1e-5):
    centred = v - v.mean(axes, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(axes, keepdims=True) + epsilon)


def norm(v, p, axis=-1):
    return (np.abs(v) ** p).sum(axis, keepdims=True) ** (1 / p)


def log_softmax(v, axis=-1):
    shifted = v - v.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def windows(v, p):
    """Norms over three neighbours, with a zero on either side."""
    padded = np.pad(np.abs(v) ** p, ((0, 0), (0, 0), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, 3, 2).sum(-1) ** (1 / p)


def norms(name, draw, epsilon=1e-5):
    """Every normalisation over the last axis, and over other ones."""
    m = Model(f"recovered_norms_{name}", opset=23)
    v = m.add(x(2, 6, 17, draw=draw))
    one, zero, six, none = (const([n] * k, "f4") for n, k in ((1, 17), (0, 17), (1, 6), (0, 6)))
    mean = m.op("ReduceMean", v, AXES)
    centred = m.op("Sub", v, mean)
    variance = m.op("ReduceMean", m.op("Mul", centred, centred), AXES)
    by_hand = m.op("Div", centred, m.op("Sqrt", m.op("Add", variance, const(epsilon, "f4"))))
    return m.result(
        m.op("LayerNormalization", v, one, zero, epsilon=epsilon),
        m.op("InstanceNormalization", v, six, none, epsilon=epsilon),
        m.op("GroupNormalization", v, six, none, num_groups=2, epsilon=epsilon),
        m.op("RMSNormalization", v, one, epsilon=epsilon),
        m.op("MeanVarianceNormalization", v, axes=[0, 2]),
        by_hand,
    ).by_formula(lambda v: (
        layer(v, 2, epsilon), layer(v, 2, epsilon), layer(v.reshape(2, 2, 51), 2, epsilon).reshape(v.shape),
        v / np.sqrt((v ** 2).mean(2, keepdims=True) + epsilon),
        (v - v.mean((0, 2), keepdims=True)) / (v.std((0, 2), keepdims=True) + 1e-9), layer(v, 2, epsilon)))


def lengths(name, draw, unit):
    """Norms of vectors and windows; `unit` is what LpNormalization gives for p = 2."""
    m = Model(f"lengths_{name}")
    v = m.add(x(1, 3, 21, draw=draw))
    pool = {"kernel_shape": [3], "pads": [1, 1]}
    return m.result(
        m.op("ReduceL2", v, axes=[-1], keepdims=1), m.op("ReduceL1", v, axes=[2], keepdims=1),
        m.op("LpNormalization", v, axis=-1, p=2), m.op("LpNormalization", v, axis=2, p=1),
        m.op("GlobalLpPool", v, p=2), m.op("GlobalLpPool", v, p=3),
        m.op("LpPool", v, p=1, **pool), m.op("LpPool", v, p=2, **pool), m.op("LpPool", v, p=3, **pool),
    ).by_formula(lambda v: (
        norm(v, 2), norm(v, 1), unit(v), v / np.maximum(norm(v, 1), 1e-300), norm(v, 2), norm(v, 3),
        windows(v, 1), windows(v, 2), windows(v, 3)))


def nothing(rng, shape):
    return np.zeros(shape, np.float32)


def far_apart():
    """Shares too small for f32 have logarithms; sums of powers of large numbers, too."""
    m = Model("softmax_far_apart")
    v = m.add(x(3, 7, draw=uniform(-300, 300)))
    large = m.op("Mul", v, const(1e27, "f4"))
    return m.result(
        m.op("LogSoftmax", v, axis=-1), m.op("LogSoftmax", v, axis=0), m.op("LogSoftmax", large, axis=-1),
        m.op("ReduceLogSumExp", v, axes=[1]), m.op("ReduceLogSumExp", large, axes=[0], keepdims=0),
        m.op("ReduceLogSumExp", large, keepdims=0),
    ).by_formula(lambda v: (
        log_softmax(v), log_softmax(v, 0), log_softmax(v * 1e27), np.logaddexp.reduce(v, 1, keepdims=True),
        np.logaddexp.reduce(v * 1e27, 0), np.logaddexp.reduce(v * 1e27, None)))


def old_log_softmax():
    return single("log_softmax_opset11_far", "LogSoftmax", x(2, 3, 4, draw=uniform(-300, 300)), opset=11).by_formula(
        lambda v: [log_softmax(v.reshape(2, 12)).reshape(v.shape)])


def cross_entropy():
    m = Model("crossentropy_far")
    target = const([0, 2, 1, 4])
    return m.result(*m.op("SoftmaxCrossEntropyLoss", x(4, 5, draw=uniform(-300, 300)), target, outputs=2, reduction="none")
                    ).by_formula(lambda v: (-log_softmax(v)[range(4), [0, 2, 1, 4]], log_softmax(v)))


def with_nan(rng, shape):
    values = rng.standard_normal(shape).astype(np.float32)
    values[0, 0, 3], values[0, 1, 0], values[0, 2, 100], values[0, 3, 7] = np.nan, np.nan, np.nan, -np.inf
    return values


def not_a_number():
    """A NaN is the largest and the smallest of all, wherever it stands; GlobalMaxPool leaves it out, as MaxPool does."""
    m = Model("nan_extrema")
    v = m.add(x(1, 5, 130, draw=with_nan))
    share = lambda v: np.exp(log_softmax(v))
    return m.result(
        m.op("ReduceMax", v, axes=[2]), m.op("ReduceMin", v, axes=[2]), m.op("ReduceMax", v, axes=[1]),
        m.op("ArgMax", v, axis=2), m.op("ArgMin", v, axis=2, keepdims=0), m.op("GlobalMaxPool", v),
        m.op("Softmax", v, axis=-1), m.op("ReduceMean", v, axes=[1]),
    ).by_formula(lambda v: (
        v.max(2, keepdims=True), v.min(2, keepdims=True), v.max(1, keepdims=True), v.argmax(2)[:, :, None], v.argmin(2),
        np.nanmax(v, 2, keepdims=True), share(v),
        v.mean(1, keepdims=True))).not_finite()


def long_rows(name, draw):
    """Rows that are normalised in parts, the last one short."""
    m = Model(f"recovered_norms_long_{name}", opset=23)
    v = m.add(x(1, 2, 2201, draw=draw))
    scale, shift, two, none = (const([n] * k, "f4") for n, k in ((0.5, 2201), (0.25, 2201), (2, 2), (0, 2)))
    return m.result(
        m.op("LayerNormalization", v, scale, shift),
        m.op("InstanceNormalization", v, two, none),
        m.op("RMSNormalization", v, scale),
    ).by_formula(lambda v: (
        layer(v, 2) * 0.5 + 0.25, layer(v, 2) * 2, 0.5 * v / np.sqrt((v ** 2).mean(2, keepdims=True) + 1e-5)))


def half_planes():
    """Means over more places than float16 counts, and over 7 · 7 of them; ε below float16's least number."""
    m = Model("half_planes")
    v = m.add(x(1, 2, 7, 7, draw=half))
    flat = m.op("Add", m.op("Mul", v, const(0, "f2")), const(3.3, "f2"))
    long = m.op("Reshape", m.op("Tile", v, const([1, 1, 40, 40])), const([1, 2, -1]))
    one, zero = const([1, 1], "f2"), const([0, 0], "f2")
    small = m.op("Mul", v, const(2 ** -10, "f2"))
    variance = const([2 ** -20, 2 ** -19], "f2")
    results = (
        m.op("ReduceMean", m.op("Add", long, const(1, "f2")), axes=[2]), m.op("GlobalAveragePool", long),
        m.op("ReduceMax", m.op("InstanceNormalization", long, one, zero), axes=[2]),
        m.op("InstanceNormalization", flat, one, zero), m.op("InstanceNormalization", small, one, zero, epsilon=1e-8),
        m.op("BatchNormalization", small, one, zero, zero, variance, epsilon=1e-7),
    )
    return m.result(*(m.op("Cast", y, to=1) for y in results)).by_formula(lambda v: (
        v.mean((2, 3)).reshape(1, 2, 1) + 1, v.mean((2, 3)).reshape(1, 2, 1),
        layer(v, (2, 3)).max((2, 3)).reshape(1, 2, 1), v * 0, layer(v * 2 ** -10, (2, 3), 1e-8),
        v * 2 ** -10 / np.sqrt(np.array([2 ** -20, 2 ** -19]).reshape(1, 2, 1, 1) + 1e-7)))


def half_casts():
    """A conversion to float16 rounds, wherever the model computes."""
    m = Model("half_casts")
    v = m.add(x(3, 40, draw=times(100)))
    narrow = m.op("Cast", v, to=10)
    twice = m.op("Mul", narrow, const(2, "f2"))
    return m.result(m.op("Cast", twice, to=1), m.op("Cast", m.op("CastLike", v, narrow), to=1), m.op("Cast", narrow, to=1))


def unit(v):
    return v / np.maximum(norm(v, 2), 1e-300)


def cases():
    for mean in (1e3, 4e4, 1e5):
        yield norms(f"about_{mean:.0f}", about(mean))
    yield norms("1e30", times(1e30))
    yield lengths("1e30", times(1e30), unit)
    # Squares of these are no f32 numbers: ONNX Runtime and the reference evaluator take such a vector for 0.
    yield lengths("1e_minus_30", times(1e-30), lambda v: v * 0)
    yield lengths("1e_minus_19", times(1e-19), unit)
    yield lengths("zero", nothing, lambda v: v * 0)
    yield single("recovered_norms_1e_minus_30", "LayerNormalization", x(3, 20, draw=times(1e-30)), const([1] * 20, "f4"),
                 epsilon=0.0).by_formula(lambda v: [layer(v, 1, 0)])
    yield long_rows("mean_100000", about(100_000))
    yield long_rows("1e30", times(1e30))
    yield far_apart()
    yield old_log_softmax()
    yield cross_entropy()
    yield not_a_number()
    yield half_planes()
    yield half_casts()
