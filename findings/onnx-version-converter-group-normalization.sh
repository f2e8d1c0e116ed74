#!/usr/bin/env bash
# GroupNormalization of opset 18 has a scale and a bias for each group, that of 21 for each channel. onnx 1.23.2's version_converter raises the
# version and leaves the operands as they are: the model is refused by ONNX Runtime 1.32.0, and where as many groups as channels are used it works.
# Seen on 2026-11-29, 4 channels in 2 groups:
#   18: right; converted to 21: scale of shape [2] where [4] is asked for, ONNX Runtime raises an error; 4 groups: right
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, version_converter

onnxruntime.set_default_logger_severity(4)
x = np.random.default_rng(1).standard_normal((1, 4, 3, 3)).astype(np.float32)


def result(model):
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    except Exception as error:
        print("  ", str(error)[:140])
        return None


def before_and_after(groups):
    operands = [helper.make_tensor(name, TensorProto.FLOAT, [groups], np.linspace(1, 2, groups)) for name in ("scale", "bias")]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in "xy"]
    node = helper.make_node("GroupNormalization", ["x", "scale", "bias"], ["y"], num_groups=groups)
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], operands)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    raised = version_converter.convert_version(model, 21)
    shapes = [list(tensor.dims) for tensor in raised.graph.initializer]
    print(f"{groups} groups: operators {[n.op_type for n in raised.graph.node]}, scale and bias {shapes}")
    before, after = result(model), result(raised)
    split = x.astype(np.float64).reshape(1, groups, -1)
    normed = (split - split.mean(-1, keepdims=True)) / np.sqrt(split.var(-1, keepdims=True) + 1e-5)
    affine = np.linspace(1, 2, groups)[None, :, None]
    assert np.allclose(before, (normed * affine + affine).reshape(x.shape), atol=1e-5), "opset 18 is right"
    return before, after


before, after = before_and_after(4)
assert after is not None and np.allclose(before, after, atol=1e-5), "a group for each channel survives"
before, after = before_and_after(2)
assert after is None, "the behaviour changed"
PYTHON
