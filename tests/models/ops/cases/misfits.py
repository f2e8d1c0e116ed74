"""Operands that do not fit, which are refused, and forms near them that have a meaning: bounds far outside, empty lists of axes,
computed scales, recurrences over sequences of lengths of their own.

Deliberately not here: indices outside their axis (indexing.py).
"""
import numpy as np
from onnx import AttributeProto, TensorProto, helper

from builder import Arg, Model, const, single, uniform, w, x

c = lambda *shape: w(*shape, draw=uniform(-0.6, 0.6))


def given(values, dtype):
    """A runtime input with these values."""
    array = np.array(values, dtype)
    return Arg(True, array.shape, lambda *_: array)


def refused():
    """What ONNX calls an error, and what could be computed all the same."""
    yield single("misfit_split", "Split", x(5, 3), const([2, 2]), outputs=2, axis=0).invalid((2, 3), (2, 3)).not_standard()
    yield single("misfit_gather", "Gather", x(5, 3), x(2), axis=0).invalid((2, 3)).not_standard()
    yield single("misfit_scatter", "ScatterND", x(5, 3), x(1, 1), x(1, 3), opset=18).invalid((5, 3)).not_standard()
    yield single("misfit_scale", "DequantizeLinear", given([[1, 2, 3]], "u1"), const([0.5, 2], "f4"), axis=1).invalid((1, 3)).not_standard()
    yield single("misfit_channels", "BatchNormalization", x(2, 3, 4), *(const([1], "f4"),) * 4).invalid((2, 3, 4)).not_standard()
    yield single("misfit_uniform", "Pow", x(3, 7), const([2, 2], "f4")).invalid((3, 7)).not_standard()
    m = Model("uint32_refused")
    yield m.result(m.op("Cast", m.op("Cast", given([1, -5], "i4"), to=TensorProto.UINT32), to=TensorProto.FLOAT))
    m = Model("misfit_types")
    yield m.result(m.op("Add", x(3), given([1, 2, 3], "i8"))).invalid((3,)).not_standard()


def bounds():
    """Bounds far outside the axis, in both directions."""
    m = Model("slice_far_bounds")
    data = m.add(x(5, 4))
    low, high = -(2**63), 2**63 - 1
    cut = lambda start, end, step: m.op("Slice", data, const([start]), const([end]), const([0]), const([step]))
    empty = [cut(0, low, 1), cut(3, 1, 1), cut(4, 2**31 - 2, -1)]
    joined = m.op("Concat", *empty, data, axis=0)
    return m.result(joined, cut(high, low, -2), cut(-100, low, -1), cut(-2, high, 3), cut(4, 0, low),
                    cut(4, 2**31 - 1, -1), cut(3, high, -2)).not_standard()


def empty_axes():
    """An empty list of axes as an attribute is none."""
    m = Model("reduce_empty_axes", 11)
    data = m.add(x(2, 3))
    results = [m.op(op, data) for op in ("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum", "ReduceLogSumExp")]
    for node in m.nodes:
        node.attribute.append(helper.make_attribute("axes", [], attr_type=AttributeProto.INTS))
    return m.result(*results)


def computed_scales():
    """Scales and zero points that are computed, for the tensor and for an axis."""
    m = Model("quantize_computed_scales")
    data, raw, shift = m.add(x(2, 3, 4)), m.add(x(3)), m.add(given([3, 0, 9], "f4"))
    scales = m.op("Add", m.op("Abs", raw), const(0.05, "f4"))
    zeros = m.op("Cast", shift, to=TensorProto.UINT8)
    one = m.op("ReduceMax", scales, keepdims=0)
    quantised = m.op("QuantizeLinear", data, scales, zeros, axis=1)
    last = m.op("Transpose", quantised, perm=[0, 2, 1])
    whole = m.op("QuantizeLinear", data, one)
    return m.result(quantised, m.op("DequantizeLinear", last, scales, zeros, axis=-1), whole,
                    m.op("DequantizeLinear", whole, one), m.op("DequantizeLinear", quantised, scales, zeros, axis=-2))


def untyped_scan():
    """A Scan whose body says no types of its inputs."""
    m = Model("scan_untyped_body")
    body = helper.make_graph(
        [helper.make_node("Add", ["state", "now"], ["next"]), helper.make_node("Mul", ["next", "now"], ["out"])], "body",
        [helper.make_empty_tensor_value_info(n) for n in ("state", "now")],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in ("next", "out")])
    return m.result(*m.op("Scan", x(3), x(4, 3), outputs=2, body=body, num_scan_inputs=1)).not_standard()


def recurrences():
    """Lengths that are an input, backwards alone, other activations, and limits."""
    lengths = given([5, 2, 3], "i4")
    yield single("lstm_lengths", "LSTM", x(5, 3, 3), c(2, 16, 3), c(2, 16, 4), c(2, 32), lengths, x(2, 3, 4), x(2, 3, 4), c(2, 12),
                 outputs=3, hidden_size=4, direction="bidirectional")
    yield single("gru_lengths_reverse", "GRU", x(5, 3, 3), c(1, 12, 3), c(1, 12, 4), c(1, 24), lengths, outputs=2, hidden_size=4,
                 direction="reverse", linear_before_reset=1)
    yield single("gru_lengths", "GRU", x(5, 3, 3), c(1, 12, 3), c(1, 12, 4), c(1, 24), lengths, x(1, 3, 4), outputs=2, hidden_size=4)
    yield single("rnn_reverse_clip", "RNN", x(4, 2, 3), c(1, 3, 3), c(1, 3, 3), outputs=2, hidden_size=3, direction="reverse",
                 activations=["Relu"], clip=0.5)
    yield single("lstm_activations", "LSTM", x(4, 2, 3), c(2, 8, 3), c(2, 8, 2), c(2, 16), outputs=3, hidden_size=2,
                 direction="bidirectional", activations=["HardSigmoid", "Softsign", "Relu", "Sigmoid", "Tanh", "Tanh"], clip=1.0)


def near():
    """Forms that are easily missed beside those that are common."""
    same = lambda name, x_, w_, **a: single(f"conv_transpose_{name}", "ConvTranspose", x_, w(*w_), kernel_shape=list(w_[2:]), **a)
    yield same("same_short_kernel", x(2, 1, 6, 5), (1, 2, 2, 2), auto_pad="SAME_UPPER", strides=[3, 2])
    yield same("same_lower_dilated", x(1, 2, 4, 5), (2, 1, 1, 3), auto_pad="SAME_LOWER", strides=[1, 1], dilations=[2, 1], group=2)
    yield single("semantics_maxpool_same_dilated", "MaxPool", x(2, 1, 5, 6), auto_pad="SAME_UPPER", dilations=[2, 1],
                 kernel_shape=[3, 3], strides=[3, 1]).by_reference()
    yield single("gather_nd_of_list", "GatherND", x(5), const([[[0], [-5]], [[4], [2]]]))
    yield single("onehot_first_axis_from_end", "OneHot", given([[1, -3], [0, 5]], "i8"), const([3]), const([-1, 3], "f4"), axis=-3)


def cases():
    yield from near()
    yield from refused()
    yield from (bounds(), empty_axes(), computed_scales(), untyped_scan())
    yield from recurrences()
