#!/usr/bin/env bash
# ReduceMax and ReduceMin of booleans over no element: ONNX Runtime 1.32.0 (CPU) raises an error. ONNX's text (ReduceMax-20): "Reduction over an empty
# set of values yields minus infinity (if supported by the datatype) or the minimum value of the data type otherwise", and "the comparison should
# consider False < True", so False, and True for ReduceMin. Onnx 1.23.2's reference gives that, and so does the runtime for integers. Seen on
# 2026-11-29:
#   runtime: "ReduceMax is not defined for empty set with bool type"; reference: False, and True for ReduceMin
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import checker, parser
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def results(text, feeds, opset=21):
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>' + text)
    checker.check_model(model, full_check=True)
    reference = ReferenceEvaluator(model).run(None, feeds)[0]
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0], reference
    except Exception as error:
        return str(error), reference



def reduced(op, kind, length):
    text = f"""g ({kind}[2,{length}] x) => ({kind}[2,1] y) {{
        axes = Constant <value_ints = [1]> ()
        y = {op} (x, axes)
    }}"""
    runtime, reference = results(text, {"x": np.ones((2, length), {"bool": bool, "uint8": np.uint8}[kind])})
    print(f"{op} of {length} {kind}: runtime {runtime[-60:] if isinstance(runtime, str) else runtime.tolist()}, reference {reference.tolist()}")
    return runtime, reference


for op, of_nothing in (("ReduceMax", 0), ("ReduceMin", 255)):
    assert all((result == 1).all() for result in reduced(op, "bool", 3)), "booleans are reduced"
    assert all((result == of_nothing).all() for result in reduced(op, "uint8", 0)), "no integer gives the limit"
    runtime, reference = reduced(op, "bool", 0)
    assert (reference == bool(of_nothing)).all(), "the reference does as the text says"
    assert isinstance(runtime, str) and "not defined for empty set with bool" in runtime, "the behaviour changed"
PYTHON
