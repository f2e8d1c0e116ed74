#!/usr/bin/env bash
# onnxruntime.quantization of ONNX Runtime 1.32.0, quantize_static: a Gemm keeps its `beta` no more, in neither format, and its bias counts 1 / beta
# times instead of beta times. ONNX's Gemm-13 is alpha * A' * B' + beta * C. In QOperator `alpha` multiplies the bias too. Seen on 2026-11-29, x * 1 +
# beta * 1 with beta = 3 of the numbers 0 and 1:
#   the model: 3, 4; quantized, QDQ and QOperator: 0.33, 1.33; with beta = 1: 1, 2 in all
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import logging
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import parser
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

onnxruntime.set_default_logger_severity(4)
logging.disable(logging.WARNING)
feeds = {"x": np.array([[0.0], [1.0]], np.float32)}


class Reader(CalibrationDataReader):
    def __init__(self):
        self.rest = iter([feeds])

    def get_next(self):
        return next(self.rest, None)


def run(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feeds)[0].ravel()


def computed(beta, alpha, form):
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[2,1] x) => (float[2,1] y) <float[1,1] w = {{1}}, float[1] c = {{1}}> {{
            y = Gemm <alpha={alpha}, beta={beta}> (x, w, c)
        }}""")
    onnx.checker.check_model(model, full_check=True)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, folder + "/model.onnx")
        quantize_static(folder + "/model.onnx", folder + "/quantized.onnx", Reader(), quant_format=form)
        before, after = run(folder + "/model.onnx"), run(folder + "/quantized.onnx")
    print(f"alpha {alpha}, beta {beta}, {form.name}: {before.tolist()}, quantized {after.tolist()}")
    return before, after


for form in (QuantFormat.QDQ, QuantFormat.QOperator):
    before, after = computed(1.0, 1.0, form)
    assert np.allclose(before, [1, 2]) and np.allclose(after, before, atol=0.05), "without factors it is right"
    before, after = computed(3.0, 1.0, form)
    assert np.allclose(before, [3, 4]), "the runtime computes Gemm"
    assert np.allclose(after, [1 / 3, 4 / 3], atol=0.05), "the behaviour changed"
before, after = computed(1.0, 2.0, QuantFormat.QDQ)
assert np.allclose(before, [1, 3]) and np.allclose(after, before, atol=0.05), "QDQ keeps alpha"
before, after = computed(1.0, 2.0, QuantFormat.QOperator)
assert abs(after[0] - 2) < 0.05, "the behaviour of alpha changed"
PYTHON
