#!/usr/bin/env bash
# LpPool with ceil_mode and a last window that reaches past the input (1 to 6, kernel 3, stride 2, p 2). Seen on 2026-11-28:
#   ONNX Runtime 1.32.0:         7.810, the root of 5² + 6²
#   onnx 1.23.2's reference:     9.566, the root of 3/2 · (5² + 6²)
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
node = helper.make_node("LpPool", ["x"], ["y"], kernel_shape=[3], strides=[2], ceil_mode=1, p=2)
graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 6])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
x = np.arange(1, 7, dtype=np.float32).reshape(1, 1, 6)
reference = ReferenceEvaluator(model).run(None, {"x": x})[0].ravel()
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
runtime = session.run(None, {"x": x})[0].ravel()
print("ONNX Runtime", np.round(runtime, 3), "\nreference   ", np.round(reference, 3))
assert np.isclose(runtime[-1], np.sqrt(61), atol=1e-4), "the behaviour of ONNX Runtime changed"
assert np.isclose(reference[-1], np.sqrt(61 * 1.5), atol=1e-4), "the behaviour of the reference changed"
PYTHON
