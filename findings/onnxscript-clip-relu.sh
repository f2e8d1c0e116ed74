#!/usr/bin/env bash
# onnxscript 0.7.2's optimizer makes one Clip of a Clip followed by a Relu, with the larger of the lower bound and 0 but the upper bound as it
# is: where that is negative the result is the bound instead of 0, since Clip with min > max gives max. Seen on 2026-11-29,
# Relu(Clip(x, -1, -0.5)), run by ONNX Runtime 1.32.0 before and after:
#   before 0, 0; after -0.5, -0.5
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import parser
from onnxscript import optimizer


onnxruntime.set_default_logger_severity(4)


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def parsed(text):
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 21]>' + text)
    onnx.checker.check_model(model, full_check=True)
    return model


feeds = {"x": np.array([-2, 3], np.float32)}
found = {}
for upper in (-0.5, 0.5):
    model = parsed(f"""g (float[2] x) => (float[2] y) {{
        lower = Constant <value = float {{-1}}> ()
        upper = Constant <value = float {{{upper}}}> ()
        u = Clip (x, lower, upper)
        y = Relu (u)
    }}""")
    optimized = optimizer.optimize(model)
    onnx.checker.check_model(optimized, full_check=True)
    found[upper] = run(model, feeds).tolist(), run(optimized, feeds).tolist()
    print(f"upper bound {upper}: before {found[upper][0]}, after {found[upper][1]}, {[node.op_type for node in optimized.graph.node]}")
assert found[0.5] == ([0, 0.5], [0, 0.5]), "positive bounds are right"
assert found[-0.5][0] == [0, 0], "Relu is never negative"
assert found[-0.5][1] == [-0.5, -0.5], "the behaviour changed"
PYTHON
