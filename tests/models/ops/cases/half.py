"""Weights that half precision cannot hold as they are: far below its range, above it, or channels far apart.

Right in f32 like all others; `tests/half.rs` compiles them with f16 weights. Outputs are as small or large as their weights.
Deliberately not here: constants of element-wise operators, which are stored in half precision only when they are large.
"""
import numpy as np
from builder import Model, const, integers, single, w, x

APART = [1e-9, 1.0, 1e5, 1e-3, 1e-20]


def times(scale, axis=0):
    """Weights times a number, or channels along `axis` that are apart."""

    def draw(rng, shape):
        values = rng.standard_normal(shape)
        if scale != "apart":
            return (values * scale).astype(np.float32)
        factors = np.array([APART[i % len(APART)] for i in range(shape[axis])])
        return (values * factors.reshape([-1 if i == axis else 1 for i in range(len(shape))])).astype(np.float32)

    return draw


def lstm(scale):
    m = Model(f"half_lstm_{scale}")
    hidden, draw = 8, times(scale)
    m.op("LSTM", x(3, 2, 6), w(1, 32, 6, draw=draw), w(1, 32, 8, draw=draw), w(1, 64, draw=draw), hidden_size=hidden)
    return m.result("lstm_0")


def scaled_up():
    m = Model("half_scaled_up")
    y = m.op("MatMul", x(4, 24), w(24, 10, draw=times(1e-20)))
    return m.result(m.op("Mul", y, const(1e20, np.float32)))


def shared():
    m = Model("half_shared_weight")
    weight = m.add(w(16, 16, draw=times("apart", 1)))
    return m.result(m.op("MatMul", x(3, 16), weight), m.op("Gemm", x(21, 16), weight, w(16, draw=times(1e-6))))


def cases():
    for scale in [1e-6, 1e-8, 1e-20, 1e5, "apart"]:
        yield single(f"half_vector_{scale}", "MatMul", x(1, 24), w(24, 10, draw=times(scale, 1)))
        yield single(f"half_rows_{scale}", "MatMul", x(7, 24), w(24, 10, draw=times(scale, 1)))
        yield single(f"half_conv_{scale}", "Conv", x(1, 4, 7, 7), w(6, 4, 3, 3, draw=times(scale)), w(6, draw=times(scale)))
        yield single(f"half_table_{scale}", "Gather", w(9, 8, draw=times(scale)), x(4, draw=integers(0, 9)))
    for scale in [1e-8, "apart"]:
        yield single(f"half_product_{scale}", "MatMul", x(40, 24), w(24, 10, draw=times(scale, 1)))
        yield single(f"half_weight_first_{scale}", "MatMul", w(10, 24, draw=times(scale)), x(2, 24, 5))
        yield single(f"half_gemm_{scale}", "Gemm", x(5, 24), w(10, 24, draw=times(scale)), w(10, draw=times(scale)), transB=1)
        yield single(f"half_grouped_{scale}", "Conv", x(1, 6, 7, 7), w(10, 3, 3, 3, draw=times(scale)), group=2)
        yield single(f"half_depthwise_{scale}", "Conv", x(1, 6, 7, 7), w(6, 1, 3, 3, draw=times(scale)), group=6)
        yield single(f"half_depthwise_5x5_{scale}", "Conv", x(1, 6, 7, 7), w(12, 1, 5, 5, draw=times(scale)), group=6)
        yield single(f"half_1x1_{scale}", "Conv", x(1, 6, 7, 7), w(10, 6, 1, 1, draw=times(scale)))
        yield single(f"half_transposed_{scale}", "ConvTranspose", x(1, 6, 4, 4), w(6, 10, 3, 3, draw=times(scale, 1)),
                     strides=[2, 2])
    yield lstm(1e-8)
    yield scaled_up()
    yield shared()
