#!/usr/bin/env bash
# onnxoptimizer 0.4.2 (default passes) drops a Reshape that another Reshape follows, also where the second one has zeros, which copy
# dimensions of what the first one made. The result has another shape. ONNX's own function of GroupNormalization, whose second Reshape is to
# (0, 0, -1), comes out with other groups and the right shape. Seen on 2026-11-29 in ONNX Runtime 1.32.0 (CPU):
#   (2, 4, 3) to (2, 2, 2, 3) to (0, 0, -1): (2, 2, 6) before, (2, 4, 3) after. ONNX Runtime's own optimiser keeps (2, 2, 6)
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxoptimizer==0.4.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxoptimizer
import onnxruntime
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(4)
x = np.arange(24, dtype=np.float32).reshape(2, 4, 3)


def result(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def before_and_after(second, rank):
    shapes = [helper.make_tensor(name, TensorProto.INT64, [len(dims)], dims) for name, dims in (("first", [2, 2, 2, 3]), ("second", second))]
    nodes = [helper.make_node("Reshape", ["x", "first"], ["between"]), helper.make_node("Reshape", ["between", "second"], ["y"])]
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape), helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)]
    model = helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:], shapes), opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    optimised = onnxoptimizer.optimize(model)
    before, after = result(model), result(optimised)
    print(f"to {second}: {before.shape} before, {after.shape} after, {len(optimised.graph.node)} nodes left")
    return before, after


before, after = before_and_after([2, 12], 2)
assert np.array_equal(before, after), "a second shape without zeros is right"
before, after = before_and_after([0, 0, -1], 3)
assert before.shape == x.reshape(2, 2, 2, 3).reshape(2, 2, -1).shape, "zeros copy what the first Reshape made"
assert after.shape == (2, 4, 3), "the behaviour changed"
PYTHON
