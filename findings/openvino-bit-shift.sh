#!/usr/bin/env bash
# BitShift in openvino 2026.4.1 (CPU): of uint8 a shift to the left clamps at 255 instead of letting bits fall out, and of uint64 a shift to the right
# by one gives 0. ONNX's text (BitShift-11) moves the "binary representation"; ONNX Runtime 1.32.0, onnx 1.23.2's reference and NumPy do so. Seen on
# 2026-11-29:
#   uint8 200, 255, 3 << 1, 4, 7: openvino 255, 255, 255, else 144, 240, 128; uint64 (2^63 + 1) >> 1: openvino 0, else 2^62
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



def shifted(kind, x, amounts, direction):
    text = f"""g ({kind}[3] x, {kind}[3] s) => ({kind}[3] y) {{
        y = BitShift <direction="{direction}"> (x, s)
    }}"""
    numbers = np.array(x, kind), np.array(amounts, kind)
    exact = np.left_shift(*numbers) if direction == "LEFT" else np.right_shift(*numbers)
    found, *others = results(text, dict(zip("xs", numbers)))
    print(f"{kind} {x} {direction} {amounts}: openvino {found.tolist()}, others {[other.tolist() for other in others]}")
    assert all(np.array_equal(other, exact) for other in others), "the runtime and the reference are exact"
    return found.tolist(), exact.tolist()


found, exact = shifted("uint8", [1, 3, 7], [1, 2, 3], "LEFT")
assert found == exact, "small numbers are right"
found, exact = shifted("uint8", [200, 255, 3], [1, 4, 7], "LEFT")
assert found == [255, 255, 255] and exact == [144, 240, 128], "the behaviour of uint8 changed"
found, exact = shifted("uint64", [2**63 + 1, 2**64 - 1, 3], [1, 4, 1], "RIGHT")
assert found[:2] == [0, 0] and exact[:2] == [2**62, 2**60 - 1], "the behaviour of uint64 changed"
PYTHON
