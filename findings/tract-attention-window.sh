#!/usr/bin/env bash
# Attention of opset 25: tract 0.23.9 leaves out `left_window_size` and `right_window_size`, so that every query attends to every key, without an
# error. ONNX's text (Attention-25): "attends keys j satisfying p - left_window_size <= j <= p + right_window_size". ONNX Runtime 1.32.0 and onnx
# 1.23.2's reference do so. Seen on 2026-11-29, of the values 1 to 6 at equal scores, one to the left and none to the right:
#   tract: 3.5 six times; runtime and reference: 1, 1.5, 2.5, 3.5, 4.5, 5.5
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install tract==0.23.9 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import tempfile

import numpy as np
import onnxruntime
import tract
from onnx import checker, parser
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def results(text, feeds, opset=21, index=0):
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>' + text)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model.SerializeToString())
        file.flush()
        runnable = tract.onnx().load(file.name).into_model().into_runnable()
    found = runnable.run([feeds[port.name] for port in model.graph.input])[index].to_numpy()
    return found, session.run(None, feeds)[index], ReferenceEvaluator(model).run(None, feeds)[index]


feeds = {name: np.zeros((1, 1, 6, 1), np.float32) for name in "qk"} | {"v": np.arange(1, 7, dtype=np.float32).reshape(1, 1, 6, 1)}


def attended(attributes):
    text = f"""g (float[1,1,6,1] q, float[1,1,6,1] k, float[1,1,6,1] v) => (float[1,1,6,1] y) {{
        y = Attention <{attributes}> (q, k, v)
    }}"""
    found = [result.ravel().tolist() for result in results(text, feeds, opset=25)]
    print(f"{attributes}: tract {found[0]}, runtime {found[1]}, reference {found[2]}")
    return np.array(found)


assert np.allclose(attended("is_causal=1"), [1, 1.5, 2, 2.5, 3, 3.5], atol=1e-5), "the causal mask is seen by all"
found, *others = attended("left_window_size=1, right_window_size=0")
assert np.allclose(others, [1, 1.5, 2.5, 3.5, 4.5, 5.5], atol=1e-5), "the runtime and the reference do as the text says"
assert np.allclose(found, 3.5, atol=1e-5), "the behaviour changed"
PYTHON
