"""Softmax and the normalisations: as one node and spelled out.

Deliberately not here: BatchNormalization as exporters write it (conv.py).
"""
from builder import Model, const, normal, single, uniform, w, x
from onnx import TensorProto, helper

GAIN = uniform(0.5, 1.5)


def softmax_cases():
    for op_type, stem in (("Softmax", "softmax"), ("LogSoftmax", "log_softmax")):
        yield single(f"{stem}_last", op_type, x(3, 5, 10), axis=-1)
        yield single(f"{stem}_middle", op_type, x(3, 6, 4), axis=1)
    yield single("softmax_first", "Softmax", x(7, 5), axis=0)
    yield single("softmax_scores", "Softmax", x(1, 2, 9, 9), axis=-1)
    yield single("softmax_wide", "Softmax", x(2, 517), axis=-1)
    yield single("softmax_one", "Softmax", x(4, 1), axis=-1)
    yield single("softmax_large_values", "Softmax", x(4, 12, draw=uniform(-60, 60)), axis=-1)
    yield single("softmax_opset11_coerced", "Softmax", x(2, 3, 4), opset=11, axis=1)


def layer_norm(name, shape, axis=-1, has_bias=True, epsilon=1e-5):
    inner = shape[axis:]
    operands = [x(*shape), w(*inner, draw=GAIN)] + ([w(*inner, draw=normal)] if has_bias else [])
    return single(f"layernorm_{name}", "LayerNormalization", *operands, axis=axis, epsilon=epsilon)


def layer_norm_spelled_out():
    m = Model("layernorm_spelled_out")
    value = m.add(x(2, 5, 24))
    centred = m.op("Sub", value, m.op("ReduceMean", value, axes=[-1], keepdims=1))
    variance = m.op("ReduceMean", m.op("Pow", centred, const(2.0, "f4")), axes=[-1], keepdims=1)
    scaled = m.op("Div", centred, m.op("Sqrt", m.op("Add", variance, const(1e-5, "f4"))))
    return m.result(m.op("Add", m.op("Mul", scaled, w(24, draw=GAIN)), w(24, draw=normal)))


def layer_norm_channels_first():
    m = Model("layernorm_channels_first")
    value = m.op("Transpose", x(1, 12, 4, 5), perm=[0, 2, 3, 1])
    value = m.op("LayerNormalization", value, w(12, draw=GAIN), w(12, draw=normal), axis=-1)
    return m.result(m.op("Transpose", value, perm=[0, 3, 1, 2]))


def rms_norm(name, square_by, divide):
    """x * weight / sqrt(mean(x^2) + eps), in the ways that exporters write it."""
    m = Model(f"rmsnorm_{name}")
    value = m.add(x(2, 5, 24))
    square = m.op("Pow", value, const(2.0, "f4")) if square_by == "pow" else m.op("Mul", value, value)
    mean = m.op("ReduceMean", square, axes=[-1], keepdims=1)
    root = m.op("Sqrt", m.op("Add", mean, const(1e-6, "f4")))
    y = m.op("Div", value, root) if divide else m.op("Mul", value, m.op("Reciprocal", root))
    return m.result(m.op("Mul", w(24, draw=GAIN), y))


def group_norm(name, image, groups, silu=False):
    m = Model(f"groupnorm_{name}")
    channels = image[1]
    y = m.op("Reshape", x(*image), const([image[0], groups, -1]))
    y = m.op("InstanceNormalization", y, const([1.0] * groups, "f4"), const([0.0] * groups, "f4"), epsilon=1e-5)
    y = m.op("Reshape", y, const(image))
    y = m.op("Mul", y, w(channels, 1, 1, draw=GAIN))
    y = m.op("Add", y, w(channels, 1, 1, draw=normal))
    return m.result(m.op("Mul", y, m.op("Sigmoid", y)) if silu else y)


def l2_normalise():
    m = Model("l2_normalize_spelled_out")
    value = m.add(x(3, 16))
    length = m.op("ReduceL2", value, axes=[-1], keepdims=1)
    return m.result(m.op("Div", value, m.op("Clip", length, const(1e-12, "f4"))))


def old_batch_norm():
    """Operator set 9, as the models of its time: parameters computed by `ConstantOfShape`, local response normalisation."""
    m = Model("norms_opset_9", opset=9)
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.75])
    scale, shift, mean, variance = (m.op("ConstantOfShape", const([6]), value=value) for _ in range(4))
    y = m.op("BatchNormalization", x(2, 6, 4, 5), scale, shift, mean, variance)
    return m.result(m.op("LRN", y, size=3, alpha=0.5, beta=0.75, bias=1.5))


def cases():
    yield old_batch_norm()
    yield from softmax_cases()
    yield layer_norm("last", (2, 5, 24))
    yield layer_norm("no_bias", (2, 5, 24), has_bias=False)
    yield layer_norm("odd_width", (3, 37), epsilon=1e-6)
    yield layer_norm("wide", (2, 770))
    yield layer_norm("two_axes", (3, 4, 6), axis=-2)
    yield layer_norm_spelled_out()
    yield layer_norm_channels_first()
    yield rms_norm("pow_div", "pow", divide=True)
    yield rms_norm("mul_reciprocal", "mul", divide=False)
    yield single("instancenorm_2d", "InstanceNormalization", x(1, 6, 5, 5), w(6, draw=GAIN), w(6, draw=normal))
    yield single("instancenorm_1d", "InstanceNormalization", x(2, 5, 17), w(5, draw=GAIN), w(5, draw=normal), epsilon=1e-3)
    yield group_norm("spelled_out", [1, 8, 5, 5], groups=4)
    yield group_norm("odd_silu", [1, 9, 4, 3], groups=3, silu=True)
    yield l2_normalise()
