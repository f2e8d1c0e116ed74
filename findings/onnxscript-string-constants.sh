#!/usr/bin/env bash
# onnxscript 0.7.2's optimizer folds a Cast of constants to strings and then cannot write the model that it made: TypeError "Bitwidth not available
# for ONNX data type: STRING" (onnx-ir 1.1.0). The model is valid, and runs in ONNX Runtime 1.32.0. Seen on 2026-11-29:
#   Cast(Constant(0.5)) to string: runtime "0.5", optimizer SerdeError; to int64 both run
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import parser
from onnxscript import optimizer


onnxruntime.set_default_logger_severity(4)


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def parsed(text):
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 21]>' + text)
    onnx.checker.check_model(model, full_check=True)
    return model



def model_of(kind, number):
    return parsed(f"g () => ({kind}[1] y) {{ c = Constant <value = float[1] {{0.5}}> () y = Cast <to = {number}> (c) }}")


integers = model_of("int64", 7)
assert run(optimizer.optimize(integers), {}).tolist() == run(integers, {}).tolist() == [0], "integers are folded"
strings = model_of("string", 8)
found = run(strings, {}).tolist()
assert found == ["0.5"], "a valid model"
try:
    optimized = optimizer.optimize(strings)
except Exception as error:
    while error.__cause__:
        error = error.__cause__
    print(f"runtime {found}, optimizer: {type(error).__name__} {error}")
    assert isinstance(error, TypeError) and "STRING" in str(error), "another error"
else:
    raise AssertionError(f"the behaviour changed: {run(optimized, {})}")
PYTHON
