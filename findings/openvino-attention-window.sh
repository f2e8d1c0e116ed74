#!/usr/bin/env bash
# openvino 2026.4.1 (CPU) reads Attention of opset 25 and leaves out its attributes `left_window_size` and `right_window_size`: every query attends to
# every key, without a warning. ONNX's text (Attention-25): "attends keys j satisfying p - left_window_size <= j <= p + right_window_size". ONNX
# Runtime 1.32.0 and onnx 1.23.2's reference do so. Seen on 2026-11-29, of the values 1 to 6 at equal scores, one to the left and none to the right:
#   openvino: 3.5 six times; runtime and reference: 1, 1.5, 2.5, 3.5, 4.5, 5.5
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import io

import numpy as np
import onnxruntime
import openvino
from onnx import checker, parser
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
core = openvino.Core()


def results(text, feeds, opset=21, index=0):
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>' + text)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(io.BytesIO(model.SerializeToString())), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    reference = ReferenceEvaluator(model).run(None, feeds)[index]
    return [np.array(compiled(feeds)[index]), session.run(None, feeds)[index], reference]


feeds = {"q": np.zeros((1, 1, 6, 1), np.float32), "k": np.zeros((1, 1, 6, 1), np.float32)}
feeds["v"] = np.arange(1, 7, dtype=np.float32).reshape(1, 1, 6, 1)


def attended(attributes):
    text = f"""g (float[1,1,6,1] q, float[1,1,6,1] k, float[1,1,6,1] v) => (float[1,1,6,1] y) {{
        y = Attention <{attributes}> (q, k, v)
    }}"""
    found = [result.ravel().tolist() for result in results(text, feeds, opset=25)]
    print(f"{attributes}: openvino {found[0]}, runtime {found[1]}, reference {found[2]}")
    return np.array(found)


causal = attended("is_causal=1")
assert np.allclose(causal, [1, 1.5, 2, 2.5, 3, 3.5]), "the causal mask is seen by all"
for attributes, expected in (
    ("left_window_size=1, right_window_size=0", [1, 1.5, 2.5, 3.5, 4.5, 5.5]),
    ("left_window_size=0, right_window_size=1", [1.5, 2.5, 3.5, 4.5, 5.5, 6]),
):
    openvino_, *others = attended(attributes)
    assert np.allclose(others, expected), "the runtime and the reference do as the text says"
    assert np.allclose(openvino_, 3.5), "the behaviour changed"
PYTHON
