"""Cases in which references differ from each other, as docs/semantics.md lists them.

Deliberately not here: what every reference agrees on (in the other groups).
"""
import numpy as np
from onnx import TensorProto, helper

from builder import Model, const, integers, single, w, x

NAN = np.float32("nan")


def values(*numbers, shape=None, dtype=np.float32):
    """A runtime input with these values."""
    array = np.array(numbers, dtype)
    array = array if shape is None else array.reshape(shape)
    return x(*array.shape, draw=lambda rng, _: array)


def expecting(m, *results):
    """Results written down by hand: those of newer versions than the pinned ones."""
    m.evaluate = lambda _: dict(zip(m.outputs, [np.array(r, np.float32) for r in results]))
    return m


def bool_bytes():
    """Truth values whose bytes are 0, 1 and 2."""
    m = Model("semantics_bool_bytes", 13)
    m.constants.append(helper.make_tensor("truths", TensorProto.BOOL, [3], bytes([0, 1, 2]), raw=True))
    cast = m.op("Cast", "truths", to=TensorProto.FLOAT)
    inverse = m.op("Cast", m.op("Not", "truths"), to=TensorProto.FLOAT)
    return expecting(m.result(m.op("Add", m.op("Mul", cast, values(1, 10, 100)), inverse)), [1, 10, 100])


def group_norm():
    """Groups far from 0, whose variance both references take from squares."""
    m = Model("semantics_group_norm_about_10000", 21)
    v = m.add(x(1, 4, 3, 5, draw=lambda rng, shape: (rng.standard_normal(shape) + 10_000).astype(np.float32)))
    ones, zeros = const(np.ones(4), np.float32), const(np.zeros(4), np.float32)

    def formula(data):
        groups = data.reshape(2, -1)
        centred = groups - groups.mean(1, keepdims=True)
        return ((centred / np.sqrt((centred ** 2).mean(1, keepdims=True) + 1e-5)).reshape(data.shape),)

    return m.result(m.op("GroupNormalization", v, ones, zeros, num_groups=2)).by_formula(formula)


def pools_same():
    """Automatic padding of pools with dilations, and with kernels shorter than the stride."""
    m = Model("semantics_pools_same", 22)
    v = m.add(x(1, 2, 7))
    forms = [(op, mode, kernel, stride, dilation) for op in ("AveragePool", "LpPool") for mode in ("SAME_UPPER", "SAME_LOWER")
             for kernel, stride, dilation in ((3, 2, 2), (1, 3, 1), (2, 4, 1))]

    def pooled(data, op, mode, kernel, stride, dilation):
        size = data.shape[2]
        places = -(-size // stride)
        padding = max((places - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        first = padding // 2 if mode == "SAME_UPPER" else padding - padding // 2
        taps = [[data[:, :, at] for at in range(o * stride - first, o * stride - first + kernel * dilation, dilation) if 0 <= at < size]
                for o in range(places)]
        of = (lambda t: np.mean(t, 0)) if op == "AveragePool" else (lambda t: np.sqrt(np.square(t).sum(0)))
        return np.stack([of(np.array(t)) for t in taps], -1)

    values = [m.op(op, v, auto_pad=mode, kernel_shape=[kernel], strides=[stride], dilations=[dilation])
              for op, mode, kernel, stride, dilation in forms]
    return m.result(*values).by_formula(lambda data: tuple(pooled(data, *form) for form in forms))


def undefined_casts():
    """Floats that no integer is: what x86 makes of them, of which the type takes the lowest bits."""
    m = Model("semantics_cast_undefined", 13)
    v = m.add(values(1.5, -2.5, np.inf, -np.inf, NAN, 3e9, -3e9, 1e30, 2147483648.0, -2147483648.0, 2147483520.0))
    return m.result(*[m.op("Cast", v, to=to) for to in (TensorProto.INT32, TensorProto.UINT8, TensorProto.INT8)])


def far_products():
    """Sums that a small scale of the result takes beyond 32 bits."""
    m = Model("semantics_qlinear_far", 21)
    scale, zero = const(1.0, np.float32), lambda at: const(at, np.uint8)
    a, b = x(3, 4, draw=integers(0, 256, np.uint8)), w(4, 5, draw=integers(0, 256, np.uint8))
    return m.result(*[m.op("QLinearMatMul", m.add(a), scale, zero(128), b, scale, zero(128), const(s, np.float32), zero(at))
                      for s, at in ((1e-9, 200), (1e-6, 128), (1e-7, 3), (300.0, 7))])


def kept_sizes():
    """Scales that round down to the size that there is: elements lie elsewhere all the same."""
    m = Model("semantics_resize_kept_size", 19)
    v = m.add(x(1, 2, 4, 5))

    def at(data, axis, scale):
        size = data.shape[axis]
        places = np.clip((np.arange(size) + 0.5) / scale - 0.5, 0, size - 1)
        first = np.minimum(places.astype(int), size - 2)
        share = np.expand_dims(places - first, tuple(range(1, data.ndim - axis)))
        return np.take(data, first, axis) * (1 - share) + np.take(data, first + 1, axis) * share

    f32 = lambda value: np.float64(np.float32(value))
    return m.result(m.op("Resize", v, "", const([1, 1, 1.2, 1.1], np.float32), mode="linear")).by_formula(
        lambda data: (at(at(data, 3, f32(1.1)), 2, f32(1.2)),))


def kept_ratio():
    """Sizes of two axes of which the ratio is kept, the axes counted from the end."""
    m = Model("semantics_resize_ratio_axes", 19)
    v = m.add(x(1, 2, 4, 5))
    results = [m.op("Resize", v, "", "", const(sizes), mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric",
                    axes=axes, keep_aspect_ratio_policy=policy)
               for axes, sizes, policy in (([-1, 2], [10, 9], "not_larger"), ([-2, -1], [8, 9], "not_smaller"))]
    doubled = lambda data: np.repeat(np.repeat(data, 2, 2), 2, 3)
    return m.result(*results).by_formula(lambda data: (doubled(data), doubled(data)))


def keys_beyond():
    """More keys that count than there are, and none: all of them, and a result of 0."""
    m = Model("semantics_nonpad_beyond", 24)
    q, k, v = (m.add(x(2, 1, n, 4)) for n in (2, 3, 3))

    def formula(q, k, v):
        scores = q @ np.swapaxes(k, 2, 3) / 2
        shares = np.exp(scores - scores.max(3, keepdims=True))
        return ((shares / shares.sum(3, keepdims=True)) @ v * np.array([1, 0]).reshape(2, 1, 1, 1),)

    return m.result(m.op("Attention", q, k, v, "", "", "", const([7, 0]))).by_formula(formula)


def overflowing_scores():
    """Rows of scores that are -inf, without a mask."""
    m = Model("semantics_attention_overflow", 23)
    large = lambda sign: lambda rng, shape: np.full(shape, sign * 1e30, np.float32)
    m.result(m.op("Attention", m.add(x(1, 1, 2, 4, draw=large(1))), m.add(x(1, 1, 3, 4, draw=large(-1))), m.add(x(1, 1, 3, 4))))
    return expecting(m, np.full((1, 1, 2, 4), NAN)).not_finite()


def overflowing_scores_beside_masks():
    """Scores that are -inf in row 0, where the mask shows some keys; row 1 sees none; rows 2 and 3 see a finite score."""
    seen = np.array([[1, 0, 1, 0, 0, 1], [0] * 6, [1] * 6, [0, 0, 0, 0, 0, 1]], bool)
    q, k = np.full((1, 2, 4, 4), 1e30, np.float32), np.full((1, 2, 6, 4), -1e30, np.float32)
    q[:, :, 3], k[:, :, 1] = 1e-3, 1e-30
    v = np.arange(48, dtype=np.float32).reshape(1, 2, 6, 4) / 8
    runtime = lambda array: x(*array.shape, draw=lambda *_: array)
    m = Model("semantics_attention_overflow_masked", 23)
    q, k, v_name = m.add(runtime(q)), m.add(runtime(k)), m.add(runtime(v))
    weights = np.zeros((1, 2, 4, 6), np.float32)
    weights[:, :, 0], weights[:, :, 2, 1], weights[:, :, 3, 5] = NAN, 1, 1
    results, made = [], []
    # Fused, and in parts where the weights are given out.
    for mask in (seen, np.where(seen, np.float32(0.5), np.float32(-np.inf))):
        mask = m.add(runtime(mask))
        made.append(m.op("Attention", q, k, v_name, mask))
        made += [m.op("Attention", q, k, v_name, mask, outputs=4, qk_matmul_output_mode=3)[i] for i in (0, 3)]
        for name in m.nodes[-1].output[1:3]:
            m.nodes[-1].output[list(m.nodes[-1].output).index(name)] = ""
        results += [weights @ v, weights @ v, weights]
    return expecting(m.result(*made), *results).not_finite()


def cases():
    yield overflowing_scores()
    yield overflowing_scores_beside_masks()
    yield kept_sizes()
    yield kept_ratio()
    yield keys_beyond()
    yield undefined_casts()
    yield far_products()
    yield single("semantics_dynamic_quantize_zeros", "DynamicQuantizeLinear", values(0, 0, 0, 0), outputs=3, opset=11)
    yield single("semantics_maxpool_nan", "MaxPool", values(NAN, 1, 2, 3, NAN, 1, 0, -1, NAN, shape=(1, 1, 9)),
                 kernel_shape=[3], strides=[3], opset=12)
    topk = Model("semantics_topk_nan", 11)
    yield topk.result(*topk.op("TopK", values(1, NAN, 2), const([3]), outputs=2)).not_finite()
    yield single("semantics_lrn_batch", "LRN", x(2, 4, 1, 2), size=3, alpha=0.5, opset=13)
    yield single("semantics_lppool_ceil", "LpPool", values(*range(1, 7), shape=(1, 1, 6)), kernel_shape=[3], strides=[2],
                 ceil_mode=1, opset=18)
    yield single("semantics_resize_align_corners", "Resize", values(1, 2, 4, 8, shape=(1, 1, 4)), "", const([1, 1, 1.7], np.float32),
                 coordinate_transformation_mode="align_corners", mode="linear", opset=19)
    yield single("semantics_resize_align_corners_sizes", "Resize", values(1, 2, 4, 8, shape=(1, 1, 4)), "", "", const([1, 1, 6]),
                 coordinate_transformation_mode="align_corners", mode="linear", opset=19)
    yield single("semantics_div_integers", "Div", values(-5, 5, -6, 7, dtype=np.int32), values(3, -3, -4, 7, dtype=np.int32), opset=14)
    yield expecting(single("semantics_reduce_noop", "ReduceSumSquare", values(1, 2, 3), const([]), noop_with_empty_axes=1,
                           keepdims=0, opset=18), [1, 4, 9])
    cast = Model("semantics_cast_int4", 21)
    yield cast.result(cast.op("Cast", cast.op("Cast", values(2.7, -2.7, 7.5), to=TensorProto.INT4), to=TensorProto.FLOAT))
    yield bool_bytes()
    yield single("semantics_round_halves", "Round", values(0.5, 1.5, 2.5, -0.5, -1.5, 2.4999998), opset=11)
    yield single("semantics_gelu_infinite", "Gelu", values(-np.inf, np.inf, NAN, -40, 3), opset=20).not_finite()
    yield single("semantics_sigmoid_small", "Sigmoid", values(-10, -14, -17, -20, -30, -60, -85), opset=13).by_reference()
    yield group_norm()
    yield pools_same()
