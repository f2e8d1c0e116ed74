#!/usr/bin/env bash
# onnxslim 0.1.98 folds a Mul behind a Conv into its weights whenever there are as many factors as channels, whatever their shape: a vector lies
# along the last axis by ONNX's broadcasting, and is taken for factors by channel. Seen on 2026-11-29, two channels, two places,
# factors (1, 10), run by ONNX Runtime 1.32.0 before and after:
#   before 1, 20, 1, 20; after 1, 2, 10, 20. Factors of shape (2, 1), by channel, come out right
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxslim==0.1.98 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import parser
import onnxslim


onnxruntime.set_default_logger_severity(4)


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def parsed(text):
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 21]>' + text)
    onnx.checker.check_model(model, full_check=True)
    return model


feeds = {"x": np.array([[[1, 2], [1, 2]]], np.float32)}
found = {}
for shape in ("2", "2,1"):
    model = parsed(f"""g (float[1,2,2] x) => (float[1,2,2] y) {{
        w = Constant <value = float[2,2,1] {{1, 0, 0, 1}}> ()
        factors = Constant <value = float[{shape}] {{1, 10}}> ()
        u = Conv (x, w)
        y = Mul (u, factors)
    }}""")
    slim = onnxslim.slim(model)
    onnx.checker.check_model(slim, full_check=True)
    found[shape] = run(model, feeds).ravel().tolist(), run(slim, feeds).ravel().tolist()
    print(f"factors of shape ({shape}): before {found[shape][0]}, after {found[shape][1]}")
assert found["2,1"] == ([1, 2, 10, 20], [1, 2, 10, 20]), "factors by channel are right"
assert found["2"][0] == [1, 20, 1, 20], "by ONNX's broadcasting"
assert found["2"][1] == [1, 2, 10, 20], "the behaviour changed"
PYTHON
