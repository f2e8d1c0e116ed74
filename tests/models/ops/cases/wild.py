"""Forms that exporters and tools write and that are easily missed: optional parts left out, branches, booleans, vectors.

Deliberately not here: operators of their own (in the other groups).
"""
import numpy as np
from onnx import TensorProto, helper

from builder import Model, booleans, const, half, integers, normal, rows, scaled, single, w, x


def squeeze_like_torch(name, shape):
    """TorchScript's squeeze(1): an If on the axis's size, whose branches have different ranks."""
    m = Model(name, 13)
    data = m.add(x(*shape))
    size = m.op("Gather", m.op("Shape", data), const([1]), axis=0)
    condition = m.op("Equal", size, const([1]))
    branch = lambda op, out, extra: helper.make_graph(
        [helper.make_node(op, [data] + extra, [out], name=f"/{out}")], out, [],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)])
    axes = m.add(const([1]))
    chosen = m.op("If", condition, then_branch=branch("Squeeze", "squeezed", [axes]), else_branch=branch("Identity", "kept", []))
    return m.result(m.op("Relu", chosen))


def nested_branches():
    """A branch that is chosen by a constant holds one that is chosen by a shape."""
    m = Model("if_nested", 16)
    data, yes = m.add(x(2, 3)), m.add(const(True, bool))
    rank_two = m.op("Equal", m.op("Size", m.op("Shape", data)), const(2))
    info = lambda n: helper.make_tensor_value_info(n, TensorProto.FLOAT, None)
    leaf = lambda op, out: helper.make_graph([helper.make_node(op, [data], [out], name=f"/{out}")], out, [], [info(out)])
    inner = helper.make_graph([
        helper.make_node("If", [rank_two], ["chosen"], name="/inner", then_branch=leaf("Exp", "a"), else_branch=leaf("Neg", "b")),
        helper.make_node("Abs", ["chosen"], ["inside"], name="/abs")], "inner", [], [info("inside")])
    outer = m.op("If", yes, then_branch=inner, else_branch=leaf("Neg", "c"))
    return m.result(m.op("Sqrt", outer))


def computed_condition(name, threshold, branches=1):
    """An If whose condition depends on data; both branches read tensors from outside."""
    m = Model(name, 16)
    data, other = m.add(x(2, 3)), m.add(w(2, 3, draw=normal))
    condition = m.op("Greater", m.op("ReduceMax", data, keepdims=1), const([[threshold]], np.float32))
    info = lambda n: helper.make_tensor_value_info(n, TensorProto.FLOAT, None)
    then = helper.make_graph([helper.make_node("Exp", [data], ["a"], name="/exp"), helper.make_node("Mul", ["a", other], ["b"], name="/mul")],
                             "then", [], [info("b"), info("a")])
    otherwise = helper.make_graph([helper.make_node("Neg", [data], ["a"], name="/neg"), helper.make_node("Abs", [data], ["b"], name="/abs")],
                                  "else", [], [info("a"), info("b")])
    first, second = m.op("If", condition, outputs=2, then_branch=then, else_branch=otherwise)
    return m.result(m.op("Add", first, data), second)


def constant_as_output():
    """An output that nothing computes."""
    m = Model("output_is_constant")
    return m.result(m.op("Relu", x(2, 3)), m.op("Identity", w(2, 2, draw=normal)))


def embedding(name, segments=False, mask=False, places=False, outputs=2):
    """EmbedLayerNormalization as ONNX Runtime's optimiser writes it."""
    m = Model(name)
    ids = x(2, 5, draw=integers(0, 11, np.int32))
    operands = [ids, x(2, 5, draw=integers(0, 2, np.int32)) if segments else "", w(11, 8, draw=normal), w(7, 8, draw=normal),
                w(2, 8, draw=normal) if segments else "", w(8, draw=normal), w(8, draw=normal),
                x(2, 5, draw=integers(0, 2, np.int32)) if mask else "",
                x(2, 5, draw=integers(0, 7, np.int32)) if places else ""]
    while operands[-1] == "":
        operands.pop()
    made = m.op("EmbedLayerNormalization", *operands, outputs=outputs, epsilon=1e-5, domain="com.microsoft")
    return m.result(*made)


def batches_inside():
    """Rows or terms in front of the batch, as ONNX Runtime's optimiser leaves a transpose of four axes."""
    m = Model("ms_fused_matmul_batches", 17)
    of = lambda a, b, **flags: m.op("FusedMatMul", a, b, domain="com.microsoft", **flags)
    return m.result(
        of(x(5, 2, 6), x(2, 6, 7), transBatchA=1, transA=0), of(x(6, 2, 3, 5), x(2, 3, 6, 7), transBatchA=1, transA=1),
        of(x(2, 5, 6), x(6, 2, 7), transBatchB=1), of(x(5, 3, 6), x(7, 3, 6), transBatchA=1, transB=1, transBatchB=1, alpha=0.5))


def cases():
    yield squeeze_like_torch("if_squeezed", (2, 1, 3))
    yield nested_branches()
    yield computed_condition("if_computed_true", -10)
    yield computed_condition("if_computed_false", 10)
    yield single("squeeze_without_axes_11", "Squeeze", x(1, 2, 1, 3), opset=11)
    yield single("squeeze_without_axes_13", "Squeeze", x(1, 2, 1, 3), opset=13)
    yield single("squeeze_axes_unsorted", "Squeeze", x(1, 2, 1, 3), const([2, 0]), opset=13)
    yield single("squeeze_axes_unsorted_11", "Squeeze", x(1, 2, 1, 3), axes=[2, 0], opset=11)
    yield single("unsqueeze_axes_unsorted", "Unsqueeze", x(2, 3), const([3, 0]), opset=13)
    yield single("unsqueeze_axes_negative", "Unsqueeze", x(2, 3), const([-1, -4]), opset=13)
    yield single("equal_bool", "Equal", x(2, 3, draw=booleans), x(2, 3, draw=booleans), opset=13)
    yield single("equal_bool_constant", "Equal", const([True, False], bool), const([True, True], bool), opset=13)
    yield single("reduce_max_bool", "ReduceMax", x(2, 5, draw=booleans), const([1]), opset=20)
    yield single("reduce_min_bool", "ReduceMin", x(2, 5, draw=booleans), const([1]), opset=20)
    yield single("matmul_two_vectors", "MatMul", x(7), x(7))
    yield single("matmul_vector_constant", "MatMul", x(7), w(7, draw=normal))
    yield single("matmul_vector_matrix", "MatMul", x(7), w(7, 5, draw=rows))
    yield single("matmul_matrix_vector", "MatMul", x(2, 3, 7), w(7, draw=normal))
    yield single("range_down", "Range", const(5), const(-3), const(-2), opset=11)
    yield single("range_down_float", "Range", const(5, np.float32), const(0.5, np.float32), const(-1.25, np.float32), opset=11)
    yield single("range_empty_step", "Range", const(0), const(7), const(3), opset=11)
    yield single("gemm_f16_bias", "Gemm", x(3, 8, draw=half), w(8, 5, draw=half), w(5, draw=half))
    yield single("gemm_f16_bias_transposed", "Gemm", x(3, 8, draw=half), w(5, 8, draw=half), w(5, draw=half), transB=1, alpha=0.5, beta=2.0)
    yield single("conv_transpose_output_shape", "ConvTranspose", x(1, 3, 5, 5), w(3, 2, 3, 3), strides=[2, 2], output_shape=[10, 9])
    yield single("conv_transpose_same_upper", "ConvTranspose", x(1, 3, 5, 4), w(3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER")
    yield single("conv_transpose_same_lower", "ConvTranspose", x(1, 3, 5, 4), w(3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER")
    yield single("conv_transpose_output_padding", "ConvTranspose", x(1, 3, 5), w(3, 2, 4), strides=[3], output_padding=[1], pads=[1, 0])
    yield constant_as_output()
    ms = dict(domain="com.microsoft")
    yield single("ms_gelu", "Gelu", x(2, 3, 8), **ms)
    yield single("ms_fused_matmul", "FusedMatMul", x(2, 3, 4), x(2, 4, 5), alpha=0.25, **ms)
    yield single("ms_fused_matmul_transposed_a", "FusedMatMul", x(2, 4, 3), x(2, 4, 5), transA=1, **ms)
    yield single("ms_fused_matmul_transposed_both", "FusedMatMul", x(4, 3), w(5, 4, draw=rows), transA=1, transB=1, alpha=2.0, **ms)
    yield batches_inside()
    yield single("ms_fused_matmul_ranks", "FusedMatMul", x(2, 3, 6, 4), x(5, 4), transB=1, alpha=0.5, **ms)
    conv = dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], **ms)
    yield single("ms_fused_conv_relu", "FusedConv", x(1, 3, 6, 5), w(4, 3, 3, 3), w(4, draw=normal), activation="Relu", **conv)
    yield single("ms_fused_conv_no_bias", "FusedConv", x(1, 3, 6, 5), w(4, 3, 3, 3), activation="Tanh", **conv)
    yield single("ms_fused_conv_sum", "FusedConv", x(1, 3, 6, 5), w(4, 3, 3, 3), w(4, draw=normal), x(1, 4, 6, 5), activation="Relu", **conv)
    for activation, parameters in [("LeakyRelu", [0.2]), ("Clip", [-0.25, 0.5]), ("HardSigmoid", [0.3, 0.4])]:
        yield single(f"ms_fused_conv_{activation.lower()}", "FusedConv", x(1, 3, 6, 5), w(4, 3, 3, 3), w(4, draw=normal),
                     activation=activation, activation_params=parameters, **conv)
    yield embedding("ms_embed")
    yield embedding("ms_embed_segments_mask", segments=True, mask=True)
    yield embedding("ms_embed_places_sum", segments=True, places=True, outputs=3)
