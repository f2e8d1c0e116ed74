#!/usr/bin/env bash
# ONNX Runtime 1.32.0, CPU: Sigmoid of f32 is right in absolute terms only. Where the result is small, comparisons by relative
# error mislead. Seen on 2026-11-28, on a processor with AVX-512:
#   x            -10        -14        -17        -20
#   Sigmoid      4.5389e-5  7.7486e-7  8.9407e-8  0
#   right value  4.5398e-5  8.3153e-7  4.1399e-8  2.0612e-9
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(4)
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])
graph = helper.make_graph([helper.make_node("Sigmoid", ["x"], ["y"])], "g", [value("x")], [value("y")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10)
x = np.array([-10, -14, -17, -20], np.float32)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
found = session.run(None, {"x": x})[0].astype(np.float64)
right = 1 / (1 + np.exp(-x.astype(np.float64)))
print("x    ", x, "\nfound", found, "\nright", right, "\nerror", np.round(np.abs(found - right) / right, 4))
error = np.abs(found - right) / right
assert error[1] > 0.05 and error[2] > 0.5 and found[3] == 0, "the behaviour changed"
assert np.abs(found - right).max() < 1e-7, "absolute errors are small"
PYTHON
