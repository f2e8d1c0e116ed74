#!/usr/bin/env bash
# ConvTranspose with `output_shape`: tract 0.23.9 cuts what is too much off the end alone. ONNX's text (ConvTranspose-11): "If (auto_pads ==
# SAME_UPPER): pads[start_i] = total_padding[i]/2 ... Else: pads[start_i] = total_padding[i] - (total_padding[i]/2)", so half at the start, or one
# more. ONNX Runtime 1.32.0 does so. Seen on 2026-11-29, x = 1, 2, kernel 1, 10, 100, strides 2, of the whole 1, 10, 102, 20, 200:
#   output_shape 3: tract 1, 10, 102, runtime 10, 102, 20; output_shape 4: tract 1, 10, 102, 20, runtime 10, 102, 20, 200
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
    return found, session.run(None, feeds)[index]


x = np.array([1, 2], np.float32).reshape(1, 1, 2)


def transposed(length, attribute):
    text = f"""g (float[1,1,2] x) => (float[1,1,{length}] y) <float[1,1,3] w = {{1, 10, 100}}> {{
        y = ConvTranspose <strides=[2]{attribute}> (x, w)
    }}"""
    found, runtime = (result.ravel().tolist() for result in results(text, {"x": x}))
    print(f"{length} elements{attribute}: tract {found}, runtime {runtime}")
    return found, runtime


whole = [1, 10, 102, 20, 200]
assert transposed(5, "") == (whole, whole), "nothing is cut"
assert transposed(3, ", pads=[1, 1]") == (whole[1:4], whole[1:4]), "pads are right"
for length in (3, 4):
    found, runtime = transposed(length, f", output_shape=[{length}]")
    assert runtime == whole[1 : 1 + length], "the runtime does as the text says"
    assert found == whole[:length], "the behaviour changed"
PYTHON
