#!/usr/bin/env bash
# ReduceMax and ReduceMin over no element: openvino 2026.4.1 (CPU) gives the lowest and largest finite float, for int64 those of int32. ONNX's text
# (ReduceMax-20): "Reduction over an empty set of values yields minus infinity (if supported by the datatype) or the minimum value of the data type
# otherwise." ONNX Runtime 1.32.0 and onnx 1.23.2's reference do so. Seen on 2026-11-29:
#   ReduceMax of float: openvino -3.4028235e+38, else -inf; of int64: openvino -2147483648, else -9223372036854775808
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



def reduced(op, kind):
    text = f"""g ({kind}[2,0] x) => ({kind}[2,1] y) {{
        axes = Constant <value_ints = [1]> ()
        y = {op} (x, axes)
    }}"""
    x = np.zeros((2, 0), {"float": np.float32, "int32": np.int32, "int64": np.int64}[kind])
    found = [result.ravel()[0].item() for result in results(text, {"x": x})]
    print(f"{op} of {kind}: openvino {found[0]}, runtime {found[1]}, reference {found[2]}")
    return found


assert reduced("ReduceMax", "int32") == [-(2**31)] * 3, "int32 is as the text says"
for op, sign in (("ReduceMax", -1), ("ReduceMin", 1)):
    found, *others = reduced(op, "float")
    assert others == [sign * float("inf")] * 2 and np.isfinite(found), "the behaviour of floats changed"
    found, *others = reduced(op, "int64")
    limits = [np.iinfo(kind).min if sign < 0 else np.iinfo(kind).max for kind in (np.int32, np.int64)]
    assert others == limits[1:] * 2 and found == limits[0], "the behaviour of int64 changed"
PYTHON
