#!/usr/bin/env bash
# onnxslim 0.1.98 makes f64 of the numbers of a Constant with value_float or value_floats, which ONNX defines as f32: the model that it gives back
# is invalid, as onnx's checker and ONNX Runtime say. The same number as a tensor (value) stays f32. Seen on 2026-11-29:
#   Mul(x, Constant<value_float = 0.5>): initializer of type double, "bound to different types (tensor(float) and tensor(double))"
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxslim==0.1.98 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import parser
import onnxslim


onnxruntime.set_default_logger_severity(4)


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def parsed(text):
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 21]>' + text)
    onnx.checker.check_model(model, full_check=True)
    return model


feeds = {"x": np.ones(2, np.float32)}
kinds = {}
for attribute in ("value = float {0.5}", "value_float = 0.5", "value_floats = [0.5]"):
    model = parsed(f"g (float[2] x) => (float[2] y) {{ c = Constant <{attribute}> () y = Mul (x, c) }}")
    assert run(model, feeds).tolist() == [0.5, 0.5], "a valid model"
    slim = onnxslim.slim(model)
    (number,) = slim.graph.initializer
    kinds[attribute] = onnx.TensorProto.DataType.Name(number.data_type)
    try:
        verdict = f"runs: {run(slim, feeds).tolist()}"
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
        verdict = str(error)[-100:].strip()
    print(f"{attribute}: {kinds[attribute]}, {verdict}")
assert list(kinds.values()) == ["FLOAT", "DOUBLE", "DOUBLE"], "the behaviour changed"
PYTHON
