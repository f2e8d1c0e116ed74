#!/usr/bin/env bash
# MaxPool with `ceil_mode`: openvino 2026.4.1 (CPU) gives a window that starts in the padding behind the input, and since it has no element, the
# lowest float as its maximum. ONNX's text (MaxPool-22): "Sliding windows that would start in the right padded region are ignored." Its AveragePool,
# ONNX Runtime 1.32.0 and onnx 1.23.2's reference leave it out. Seen on 2026-11-29, of 1 to 5, kernel 2, strides 3, pads 1 and 1:
#   openvino: 1, 4, -3.4028235e+38; runtime and reference: 1, 4
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


x = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)


def pooled(op, pads, count):
    text = f"""g (float[1,1,5] x) => (float[1,1,{count}] y) {{
        y = {op} <kernel_shape=[2], strides=[3], pads=[{pads}], ceil_mode=1> (x)
    }}"""
    found = [result.ravel().tolist() for result in results(text, {"x": x}, opset=22)]
    print(f"{op}, pads {pads}: openvino {found[0]}, runtime {found[1]}, reference {found[2]}")
    return found


assert pooled("MaxPool", "0,0", 2) == [[2, 5]] * 3, "a window that starts in the input counts"
assert pooled("AveragePool", "1,1", 2) == [[1, 3.5]] * 3, "the averages have two windows"
found, *others = pooled("MaxPool", "1,1", 2)
assert others == [[1, 4]] * 2, "the runtime and the reference do as the text says"
assert found[:2] == [1, 4] and len(found) == 3 and found[2] < -3e38, "the behaviour changed"
PYTHON
