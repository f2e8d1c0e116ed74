#!/usr/bin/env bash
# onnxruntime.quantization of ONNX Runtime 1.32.0, quantize_static with per_channel=True: a Gemm whose C has two dimensions, a row included, raises an
# error inside NumPy. ONNX's Gemm-13 has C "unidirectional broadcastable to (M, N)". A C of one dimension is right, and without per_channel the others
# are. Seen on 2026-11-29:
#   C 1 x 3: "The truth value of an array with more than one element is ambiguous"; 2 x 3: "index 2 is out of bounds for axis 0 with size 2"
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
feeds = {"x": np.array([[0, 1], [1, 0]], np.float32)}


class Reader(CalibrationDataReader):
    def __init__(self):
        self.rest = iter([feeds])

    def get_next(self):
        return next(self.rest, None)


def run(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def difference(shape, per_channel):
    numbers = ",".join(str(i) for i in range(int(np.prod(shape))))
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[2,2] x) => (float[2,3] y) <float[2,3] w = {{1, 2, 3, 4, 5, 6}}, float{shape} c = {{{numbers}}}> {{
            y = Gemm (x, w, c)
        }}""")
    onnx.checker.check_model(model, full_check=True)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, folder + "/model.onnx")
        paths = folder + "/model.onnx", folder + "/quantized.onnx"
        try:
            quantize_static(*paths, Reader(), quant_format=QuantFormat.QDQ, per_channel=per_channel)
            found = float(np.abs(run(paths[1]) - run(paths[0])).max())
        except (ValueError, IndexError) as error:
            found = str(error)
    print(f"C of {shape}, per channel {per_channel}: {found}")
    return found


assert difference([3], True) < 0.1, "one dimension is right"
for shape in ([1, 3], [2, 1], [2, 3]):
    assert difference(shape, False) < 0.1, "without channels it is right"
    assert isinstance(difference(shape, True), str), "the behaviour changed"
PYTHON
