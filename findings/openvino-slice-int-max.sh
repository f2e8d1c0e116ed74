#!/usr/bin/env bash
# Slice with `ends` that are computed or given at run time: openvino 2026.4.1 (CPU) makes 32-bit numbers of them, so that the largest int64, which
# says "to the end", leaves the last element out, and 2^31 everything. ONNX's text (Slice-13): "For slicing to the end of a dimension with unknown
# size, it is recommended to pass in INT_MAX"; ends are clamped. ONNX Runtime 1.32.0 and onnx 1.23.2's reference do so, openvino with constant ends
# too. Seen on 2026-11-29:
#   0 to 5 from 1: ends 2^63 - 1: openvino 1 to 4, else 1 to 5; ends 2^31: openvino nothing
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



def sliced(start, end, step, constant):
    given = f"s = Constant <value_ints=[{start}]> () e = Constant <value_ints=[{end}]> ()" if constant else ""
    text = f"""g (float[6] x{"" if constant else ", int64[1] s, int64[1] e"}) => (float[n] y) {{
        {given}
        axes = Constant <value_ints=[0]> ()
        steps = Constant <value_ints=[{step}]> ()
        y = Slice (x, s, e, axes, steps)
    }}"""
    feeds = {"x": np.arange(6, dtype=np.float32)} | ({} if constant else {"s": np.array([start]), "e": np.array([end])})
    found = [result.tolist() for result in results(text, feeds)]
    print(f"{start} to {end} by {step}, constant {constant}: openvino {found[0]}, runtime {found[1]}, reference {found[2]}")
    return found


assert sliced(1, 2**31 - 1, 1, False) == [[1, 2, 3, 4, 5]] * 3, "the largest 32-bit number is right"
for start, end, step, expected, wrong in (
    (1, 2**63 - 1, 1, [1, 2, 3, 4, 5], [1, 2, 3, 4]),
    (1, 2**31, 1, [1, 2, 3, 4, 5], []),
    (-1, -(2**63), -1, [5, 4, 3, 2, 1, 0], [5, 4, 3, 2, 1]),
):
    assert sliced(start, end, step, True) == [expected] * 3, "constant ends are right"
    found, *others = sliced(start, end, step, False)
    assert others == [expected] * 2, "the runtime and the reference do as the text says"
    assert found == wrong, "the behaviour changed"
PYTHON
