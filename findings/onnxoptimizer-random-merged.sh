#!/usr/bin/env bash
# onnxoptimizer 0.4.2 takes two random operators without a seed for a common subexpression and leaves one, so that two independent draws become the
# same: their difference is 0 everywhere. ONNX has them draw "auto generated" seeds of their own. Seen on 2026-11-29, run by ONNX Runtime
# 1.32.0, differences of two RandomUniformLike of 1000 elements:
#   before: 0 of 1000 are equal; after: 1000
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxoptimizer==0.4.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import parser
import onnxoptimizer


onnxruntime.set_default_logger_severity(4)


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def parsed(text):
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 21]>' + text)
    onnx.checker.check_model(model, full_check=True)
    return model


model = parsed("""g (float[1000] x) => (float[1000] y) {
    a = RandomUniformLike (x)
    b = RandomUniformLike (x)
    y = Sub (a, b)
}""")
optimized = onnxoptimizer.optimize(model)
feeds = {"x": np.zeros(1000, np.float32)}
before, after = run(model, feeds), run(optimized, feeds)
kept = [node.op_type for node in optimized.graph.node]
print(f"equal draws of 1000: before {(before == 0).sum()}, after {(after == 0).sum()}, {kept}")
assert (before == 0).sum() < 10, "two draws differ"
assert kept == ["RandomUniformLike", "Sub"] and not after.any(), "the behaviour changed"
PYTHON
