#!/usr/bin/env bash
# Loop without its condition, as ONNX's text writes `for (int i=0; i < trip_count; ++i)`: onnx 1.23.2's reference does not run the body at all and
# gives the initial values back. ONNX Runtime 1.32.0 (CPU) runs it trip_count times; with a condition that is true so does the
# reference. Seen on 2026-11-29, doubling 1 three times:
#   without a condition: runtime 8, reference 1; with one: both 8
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import parser
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def results(condition):
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[1] x) => (float[1] y) {{
            n = Constant <value = int64 {{3}}> ()
            c = Constant <value = bool {{1}}> ()
            y = Loop (n, {condition}, x) <body = b (int64 i, bool before, float[1] v) => (bool after, float[1] w) {{
                after = Identity (before)
                w = Add (v, v)
            }}>
        }}""")
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"x": np.ones(1, np.float32)}
    return session.run(None, feeds)[0].item(), ReferenceEvaluator(model).run(None, feeds)[0].item()


given, left_out = results("c"), results("")
print(f"with a condition: runtime {given[0]}, reference {given[1]}; without: runtime {left_out[0]}, reference {left_out[1]}")
assert given == (8, 8) and left_out[0] == 8, "three times doubled"
assert left_out[1] == 1, "the behaviour changed"
PYTHON
