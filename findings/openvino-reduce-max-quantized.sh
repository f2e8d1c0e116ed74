#!/usr/bin/env bash
# ReduceMax, ReduceMin and GlobalMaxPool before QuantizeLinear and DequantizeLinear: openvino 2026.4.1 (CPU) gives whole numbers, as if the scale were
# 1, where the zero point is not 0 and dimensions are kept. ONNX Runtime 1.32.0 and onnx 1.23.2's reference give multiples of the scale, as do
# openvino's ReduceSum and MaxPool, and ReduceMax without kept dimensions. ONNX's text (DequantizeLinear-13): "y = (x - x_zero_point) * x_scale". Seen
# on 2026-11-29, scale 0.1:
#   of the largest elements 1.8 and 0.8: openvino 2 and 1, runtime and reference 1.8 and 0.8
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


x = np.array([[0.2, 1.8, 1.0], [0.4, 0.6, 0.8]], np.float32)


def quantized(op, zero, keep):
    text = f"""g (float[2,3] x) => (float[2{",1" if keep else ""}] y) {{
        axes = Constant <value_ints = [1]> ()
        scale = Constant <value = float {{0.1}}> ()
        zero = Constant <value = uint8 {{{zero}}}> ()
        reduced = {op} <keepdims={keep}> (x, axes)
        steps = QuantizeLinear (reduced, scale, zero)
        y = DequantizeLinear (steps, scale, zero)
    }}"""
    found = [result.ravel().round(4).tolist() for result in results(text, {"x": x}, opset=20)]
    print(f"{op}, zero point {zero}, keepdims {keep}: openvino {found[0]}, runtime {found[1]}, reference {found[2]}")
    return found


for op, zero, keep, expected in (
    ("ReduceSum", 128, 1, [3.0, 1.8]),
    ("ReduceMax", 0, 1, [1.8, 0.8]),
    ("ReduceMax", 128, 0, [1.8, 0.8]),
):
    assert np.allclose(quantized(op, zero, keep), expected, atol=1e-3), "these are right"
for op, expected, wrong in (("ReduceMax", [1.8, 0.8], [2, 1]), ("ReduceMin", [0.2, 0.4], [0, 0])):
    found, *others = quantized(op, 128, 1)
    assert np.allclose(others, expected, atol=1e-3), "the runtime and the reference do as the text says"
    assert found == wrong, "the behaviour changed"
PYTHON
