#!/usr/bin/env bash
# ReduceL1, ReduceL2 and ReduceLogSum with `noop_with_empty_axes` and no axes: openvino 2026.4.1 (CPU) gives the input as it is, signs included.
# ONNX's text (ReduceL1-18, noop_with_empty_axes): "composite-reduction operators will still perform the non-reduction steps as needed. Thus,
# ReduceLogSum returns the Log of input tensor, and ReduceSumSquare returns the Square". ONNX Runtime 1.32.0 and onnx 1.23.2's reference do so, and
# openvino's ReduceSumSquare. Seen on 2026-11-29, of -3 and 2:
#   ReduceL1: openvino -3, 2, else 3, 2; ReduceSumSquare: 9, 4 in all
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



def reduced(op, x):
    text = f"""g (float[2] x) => (float[2] y) {{
        y = {op} <noop_with_empty_axes=1> (x)
    }}"""
    found = [result.tolist() for result in results(text, {"x": np.array(x, np.float32)})]
    print(f"{op} of {x}: openvino {found[0]}, runtime {found[1]}, reference {found[2]}")
    return np.array(found)


assert np.allclose(reduced("ReduceSumSquare", [-3, 2]), [9, 4]), "all take the square"
assert np.allclose(reduced("ReduceSum", [-3, 2]), [-3, 2]), "a sum has no further step"
for op, x, expected in (("ReduceL1", [-3, 2], [3, 2]), ("ReduceL2", [-3, 2], [3, 2]), ("ReduceLogSum", [1, 8], np.log([1, 8]))):
    found, *others = reduced(op, x)
    assert np.allclose(others, expected), "the runtime and the reference do as the text says"
    assert np.allclose(found, x), "the behaviour changed"
PYTHON
