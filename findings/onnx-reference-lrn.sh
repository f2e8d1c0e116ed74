#!/usr/bin/env bash
# onnx 1.23.2: the reference evaluator's LRN. Its sum of squares runs over the first N channels, N being the batch, so that the
# channels behind them keep their input values. ONNX Runtime 1.32.0 and the formula agree with each other. Seen on 2026-11-28:
#   reference: 1.000 at the last channel of one sample, whose input is 1; formula: 0.866
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
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 1, 1])
graph = helper.make_graph([helper.make_node("LRN", ["x"], ["y"], size=3, alpha=0.5, beta=0.5, bias=1.0)], "g", [value("x")], [value("y")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10)
x = np.ones((1, 4, 1, 1), np.float32)
formula = [1 / np.sqrt(1 + 0.5 / 3 * sum(1 for k in (c - 1, c, c + 1) if 0 <= k < 4)) for c in range(4)]
reference = ReferenceEvaluator(model).run(None, {"x": x})[0].ravel()
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
runtime = session.run(None, {"x": x})[0].ravel()
print("formula     ", np.round(formula, 3), "\nONNX Runtime", np.round(runtime, 3), "\nreference   ", np.round(reference, 3))
assert np.allclose(runtime, formula, atol=1e-6), "ONNX Runtime follows the formula"
assert np.allclose(reference[:1], formula[:1], atol=1e-6) and (reference[1:] == 1).all(), "the behaviour changed"
PYTHON
