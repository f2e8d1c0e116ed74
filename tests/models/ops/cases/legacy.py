"""Forms of the first versions of operators, whose attributes have meant something else since or are operands now.

ONNX Runtime runs few of them, so results are computed here by numpy, as the text of the version says. Deliberately not here:
forms that newer versions still have (in the other groups).
"""
import numpy as np
from onnx import numpy_helper

from builder import Model, booleans, const, distinct, integers, normal, rows, single, uniform, w, x


def legacy(name, op_type, opset, compute, *args, **attrs):
    """One node, whose result is `compute` of its operands."""
    m = single(f"legacy_{name}", op_type, *args, opset=opset, **attrs)
    values = m.feeds | {c.name: numpy_helper.to_array(c) for c in m.constants}
    result = np.asarray(compute(*(values[n] for n in m.nodes[0].input if n)))
    m.evaluate = lambda _: {m.outputs[0]: result}
    return m


def aligned(function, axis, rank=4):
    """`function` of a tensor and another one whose axes begin at `axis` of the first."""
    return lambda a, b: function(a, b.reshape(b.shape + (1,) * (rank - axis - b.ndim)))


def softmax(a, axis=1):
    """Over all axes from `axis` on, as one."""
    flat = a.reshape(int(np.prod(a.shape[:axis])), -1)
    e = np.exp(flat - flat.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).reshape(a.shape)


def hardmax(a):
    flat = a.reshape(a.shape[0], -1)
    return (np.arange(flat.shape[1]) == flat.argmax(axis=1)[:, None]).astype(np.float32).reshape(a.shape)


def normalised(a, scale, bias, mean, var):
    column = lambda v: v.reshape(-1, *[1] * (a.ndim - 2)) if v.ndim == 1 else v
    scale, bias, mean, var = map(column, (scale, bias, mean, var))
    return (a - mean) / np.sqrt(var + np.float32(1e-5)) * scale + bias


def arithmetic():
    positive = uniform(0.5, 2)
    for op, function in [("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply), ("Div", np.divide)]:
        for opset in (1, 6):
            yield legacy(f"{op.lower()}_{opset}_axis", op, opset, aligned(function, 1), x(2, 3, 4, 5), w(3, 4, draw=positive), broadcast=1, axis=1)
    yield legacy("add_6_axis_negative", "Add", 6, aligned(np.add, 2), x(2, 3, 4, 5), x(4), broadcast=1, axis=-2)
    yield legacy("add_6_suffix", "Add", 6, np.add, x(2, 3, 4, 5), x(4, 5), broadcast=1)
    yield legacy("add_6_scalar", "Add", 6, np.add, x(2, 3), const([2.5], np.float32), broadcast=1)
    yield legacy("add_6_axis_ones", "Add", 6, aligned(np.add, 1), x(2, 3, 4, 5), x(1, 4), broadcast=1, axis=1)
    yield legacy("add_6_equal", "Add", 6, np.add, x(2, 3), x(2, 3))
    yield legacy("mul_6_integers", "Mul", 6, aligned(np.multiply, 0), x(2, 3, 4, 5, draw=integers(-9, 9, np.int32)),
                 x(2, draw=integers(-9, 9, np.int32)), broadcast=1, axis=0)
    yield legacy("pow_1_axis", "Pow", 1, aligned(np.power, 1), x(2, 3, 4, 5, draw=positive), w(3, draw=normal), broadcast=1, axis=1)
    for op, function in [("And", np.logical_and), ("Or", np.logical_or), ("Xor", np.logical_xor)]:
        yield legacy(f"{op.lower()}_1_axis", op, 1, aligned(function, 1), x(2, 3, 4, 5, draw=booleans), x(3, 4, draw=booleans), broadcast=1, axis=1)
    for op, function in [("Less", np.less), ("Greater", np.greater)]:
        yield legacy(f"{op.lower()}_1_axis", op, 1, aligned(function, 1), x(2, 3, 4, 5), x(3, 4), broadcast=1, axis=1)
    yield legacy("equal_1_axis", "Equal", 1, aligned(np.equal, 1), x(2, 3, 4, 5, draw=integers(0, 3, np.int32)),
                 x(3, 4, draw=integers(0, 3, np.int32)), broadcast=1, axis=1)
    yield legacy("equal_1_bool", "Equal", 1, aligned(np.equal, 0), x(2, 3, 4, 5, draw=booleans), x(2, draw=booleans), broadcast=1, axis=0)
    for op, function in [("Max", np.maximum), ("Min", np.minimum), ("Sum", np.add)]:
        yield legacy(f"{op.lower()}_1", op, 1, function, x(2, 3), x(2, 3), consumed_inputs=[0, 0])
        yield legacy(f"{op.lower()}_6", op, 6, function, x(2, 3), x(2, 3))
    yield legacy("mean_6", "Mean", 6, lambda a, b: (a + b) / 2, x(2, 3), x(2, 3))
    yield legacy("prelu_6", "PRelu", 6, aligned(lambda a, s: np.where(a < 0, a * s, a), 1), x(2, 3, 4, 5), w(3, draw=normal))
    yield legacy("prelu_1_shared", "PRelu", 1, lambda a, s: np.where(a < 0, a * s, a), x(2, 3, 4, 5), const([0.25], np.float32))
    yield legacy("clip_1", "Clip", 1, lambda a: np.clip(a, -0.5, 0.25), x(2, 9), min=-0.5, max=0.25, consumed_inputs=[0])
    yield legacy("clip_6_least", "Clip", 6, lambda a: np.maximum(a, -0.5), x(2, 9), min=-0.5)
    yield legacy("elu_1", "Elu", 1, lambda a: np.where(a < 0, np.float32(0.5) * np.expm1(a), a), x(2, 9), alpha=0.5, consumed_inputs=[0])
    yield legacy("relu_1", "Relu", 1, lambda a: np.maximum(a, 0), x(2, 9), consumed_inputs=[0])
    yield legacy("selu_1", "Selu", 1, lambda a: np.where(a < 0, np.float32(1.0507 * 1.6732) * np.expm1(a), np.float32(1.0507) * a), x(2, 9))


def layout():
    yield legacy("reshape_1", "Reshape", 1, lambda a: a.reshape(2, 2, 6), x(2, 3, 4), shape=[0, -1, 6])
    yield legacy("concat_1", "Concat", 1, lambda a, b: np.concatenate([a, b], 1), x(2, 3, 2), x(2, 1, 2))
    yield legacy("slice_1", "Slice", 1, lambda a: a[1:2, :, -3:-1], x(3, 2, 5), starts=[-3, 1], ends=[-1, 2], axes=[2, 0])
    yield legacy("slice_1_all", "Slice", 1, lambda a: a[1:, :2], x(3, 5), starts=[1, 0], ends=[1000, 2])
    yield legacy("tile_1", "Tile", 1, lambda a, *_: np.tile(a, (1, 3, 1)), x(2, 3, 2), const(3, np.float32), const(1, np.float32))
    yield legacy("tile_6", "Tile", 6, lambda a, r: np.tile(a, r), x(2, 3), const([2, 3]))
    yield legacy("pad_1", "Pad", 1, lambda a: np.pad(a, [(0, 0), (1, 2)], constant_values=0.5), x(2, 3), paddings=[0, 1, 0, 2], value=0.5)
    yield legacy("pad_1_reflect", "Pad", 1, lambda a: np.pad(a, [(0, 0), (2, 1)], mode="reflect"), x(2, 4), paddings=[0, 2, 0, 1], mode="reflect")
    yield legacy("pad_2_edge", "Pad", 2, lambda a: np.pad(a, [(1, 0), (2, 1)], mode="edge"), x(2, 4), pads=[1, 2, 0, 1], mode="edge")
    repeated = lambda a: a.repeat(2, axis=2).repeat(3, axis=3)
    yield legacy("upsample_1", "Upsample", 1, repeated, x(1, 2, 2, 3), height_scale=2.0, width_scale=3.0)
    yield legacy("upsample_7", "Upsample", 7, repeated, x(1, 2, 2, 3), scales=[1.0, 1.0, 2.0, 3.0])
    yield legacy("flatten_1", "Flatten", 1, lambda a: a.reshape(2, -1), x(2, 3, 4))
    yield legacy("unsqueeze_1", "Unsqueeze", 1, lambda a: a[:, None, :, None], x(2, 3), axes=[1, 3])
    yield legacy("squeeze_1", "Squeeze", 1, lambda a: a[:, 0], x(2, 1, 3), axes=[1])
    yield legacy("cast_1_int", "Cast", 1, lambda a: a.astype(np.int32), x(2, 3, draw=uniform(-9, 9)), to="INT32")
    yield legacy("cast_1_float", "Cast", 1, lambda a: a.astype(np.float32), x(2, 3, draw=integers(-9, 9)), to="FLOAT")


def rest():
    yield legacy("softmax_1", "Softmax", 1, softmax, x(2, 3, 4))
    yield legacy("softmax_11_axis", "Softmax", 11, lambda a: softmax(a, 2), x(2, 3, 4, 2), axis=-2)
    yield legacy("logsoftmax_1", "LogSoftmax", 1, lambda a: np.log(softmax(a)), x(2, 3, 4))
    yield legacy("hardmax_1", "Hardmax", 1, hardmax, x(2, 3, 4, draw=distinct))
    yield legacy("gemm_6_row", "Gemm", 6, lambda a, b, c: a @ b + c, x(3, 4), w(4, 5, draw=rows), w(5, draw=normal), broadcast=1)
    yield legacy("gemm_1_scaled", "Gemm", 1, lambda a, b, c: np.float32(0.5) * (a.T @ b.T) + 2 * c, x(4, 3), w(5, 4, draw=rows), x(3, 5),
                 alpha=0.5, beta=2.0, transA=1, transB=1)
    yield legacy("gemm_6_scalar", "Gemm", 6, lambda a, b, c: a @ b + c, x(3, 4), w(4, 5, draw=rows), x(1), broadcast=1)
    parameters = [w(3, draw=uniform(0.5, 2)), w(3, draw=normal), w(3, draw=normal), w(3, draw=uniform(0.5, 2))]
    yield legacy("batchnorm_1", "BatchNormalization", 1, normalised, x(2, 3, 4, 5), *parameters, is_test=1, consumed_inputs=[0, 0, 0, 1, 1])
    yield legacy("batchnorm_6", "BatchNormalization", 6, normalised, x(2, 3, 4, 5), *parameters, is_test=1)
    each = [w(3, 4, draw=uniform(0.5, 2)), w(3, 4, draw=normal), w(3, 4, draw=normal), w(3, 4, draw=uniform(0.5, 2))]
    yield legacy("batchnorm_7", "BatchNormalization", 7, normalised, x(2, 3, 4, 5), *parameters, spatial=1)
    yield legacy("batchnorm_7_not_spatial", "BatchNormalization", 7, normalised, x(2, 3, 4), *each, spatial=0)
    yield legacy("dropout_1", "Dropout", 1, lambda a: a, x(2, 3), is_test=1, ratio=0.5, consumed_inputs=[0])
    yield legacy("dropout_6", "Dropout", 6, lambda a: a, x(2, 3), is_test=1, ratio=0.5)
    yield legacy("dropout_7", "Dropout", 7, lambda a: a, x(2, 3), ratio=0.5)
    yield legacy("argmax_1", "ArgMax", 1, lambda a: a.argmax(axis=1)[:, None], x(2, 9, draw=distinct), axis=1)
    yield legacy("reduce_sum_1", "ReduceSum", 1, lambda a: a.sum(axis=(0, 2)), x(2, 3, 4), axes=[0, 2], keepdims=0)
    top = Model("legacy_topk_1", 1)
    values, places = top.op("TopK", x(3, 7, draw=distinct), outputs=2, k=2, axis=1)
    order = np.argsort(-top.feeds["x0"], axis=1)[:, :2]
    top.result(values, places).evaluate = lambda _: {"y0": np.take_along_axis(top.feeds["x0"], order, 1), "y1": order}
    yield top
    pooled = lambda a: np.lib.stride_tricks.sliding_window_view(a, (2, 2), (2, 3))[:, :, ::2, ::2].max((4, 5))
    yield legacy("maxpool_1", "MaxPool", 1, pooled, x(1, 2, 4, 6), kernel_shape=[2, 2], strides=[2, 2])


def cases():
    yield from arithmetic()
    yield from layout()
    yield from rest()
