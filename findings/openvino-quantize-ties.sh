#!/usr/bin/env bash
# QuantizeLinear: openvino 2026.4.1 (CPU) adds the zero point before it rounds. ONNX's text (QuantizeLinear-21): "For (x / y_scale), it rounds to the
# nearest even", so 0.5, 1.5, 2.5 are 0, 2, 2, and the zero point is added to these; with an odd zero point openvino is one off at every tie. ONNX
# Runtime 1.32.0 and onnx 1.23.2's reference do as the text says. DynamicQuantizeLinear has the same. Seen on 2026-11-29, of 0.5, 1.5, 2.5 at scale 1:
#   zero point 7: openvino 8, 8, 10, runtime and reference 7, 9, 9; zero point 6: 6, 8, 8 in all
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


x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 3.5], np.float32)


def quantized(zero, kind):
    text = f"""g (float[6] x) => ({kind}[6] y) {{
        scale = Constant <value = float {{1}}> ()
        zero = Constant <value = {kind} {{{zero}}}> ()
        y = QuantizeLinear (x, scale, zero)
    }}"""
    found = [result.tolist() for result in results(text, {"x": x})]
    print(f"{kind}, zero point {zero}: openvino {found[0]}, runtime {found[1]}, reference {found[2]}")
    return found


even = [0, 2, 2, 0, -2, 4]
for kind in ("uint8", "int8", "uint16"):
    assert quantized(6, kind) == [[number + 6 for number in even]] * 3, "an even zero point changes no rounding"
    found, *others = quantized(7, kind)
    assert others == [[number + 7 for number in even]] * 2, "the runtime and the reference do as the text says"
    assert found == [8, 8, 10, 6, 6, 10], "the behaviour changed"
PYTHON
