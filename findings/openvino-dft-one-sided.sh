#!/usr/bin/env bash
# DFT of opsets 17 to 19, one-sided, of real numbers: openvino 2026.4.1 (CPU) keeps the last dimension of the input, of one element, and puts the real
# and imaginary parts behind it, so that the output has a rank too many. ONNX's text (DFT-17, output): "the output shape is
# [batch_idx][signal_dim1]...[2]". ONNX Runtime 1.32.0 and onnx 1.23.2's reference give that. The inverse leaves the last dimension out. Seen on
# 2026-11-29:
#   of 1 x 4 x 1: openvino 1 x 3 x 1 x 2, runtime and reference 1 x 3 x 2; inverse of 1 x 3 x 2: openvino 1 x 4, runtime and reference 1 x 4 x 1
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



def shapes(given, wanted, attributes, opset):
    text = f"""g (float[{given}] x) => (float[{wanted}] y) {{
        y = DFT <axis=1, {attributes}> (x)
    }}"""
    x = np.random.default_rng(1).standard_normal([int(length) for length in given.split(",")]).astype(np.float32)
    found = results(text, {"x": x}, opset=opset)
    assert all(np.allclose(found[1].ravel(), other.ravel(), atol=1e-4) for other in found), "the numbers are the same"
    print(f"opset {opset}, {attributes}: openvino {found[0].shape}, runtime {found[1].shape}, reference {found[2].shape}")
    return [other.shape for other in found]


for opset in (17, 19):
    assert shapes("1,4,1", "1,4,2", "onesided=0", opset) == [(1, 4, 2)] * 3, "the whole spectrum has the shape of the text"
    assert shapes("1,4,1", "1,3,2", "onesided=1", opset) == [(1, 3, 1, 2), (1, 3, 2), (1, 3, 2)], "the behaviour changed"
    inverse = shapes("1,3,2", "1,4,1", "onesided=1, inverse=1", opset)
    assert inverse == [(1, 4), (1, 4, 1), (1, 4, 1)], "the behaviour of the inverse changed"
PYTHON
