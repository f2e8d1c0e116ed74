#!/usr/bin/env bash
# onnxslim 0.1.98 takes an input out of the model where it is the shape of a Reshape whose output has a known shape: callers that give the model all
# of its inputs, as before, get an error. Onnxsim 0.8.1 and ONNX Runtime 1.32.0's optimizer keep the inputs; onnxslim too, of an Expand. ONNX's IR
# (IR.md, Graphs): a graph's inputs and outputs are its interface. Seen on 2026-11-29:
#   inputs before x, shape; after x; ONNX Runtime then: "Invalid input name: shape"
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxslim==0.1.98 onnxsim==0.8.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import onnxsim
import onnxslim
from onnx import parser

onnxruntime.set_default_logger_severity(4)
feeds = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "shape": np.array([3, 2])}


def made(op, shape):
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[{shape}] x, int64[2] shape) => (float[3,2] y) {{
            y = {op} (x, shape)
        }}""")
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model):
    names = [port.name for port in model.graph.input]
    print([node.op_type for node in model.graph.node], "inputs:", names)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0]


expected = run(made("Reshape", "2,3"))
assert np.array_equal(run(onnxsim.simplify(made("Reshape", "2,3"))[0]), expected), "onnxsim keeps the input"
assert [port.name for port in onnxslim.slim(made("Expand", "1,2")).graph.input] == ["x", "shape"], "onnxslim keeps that of an Expand"
try:
    run(onnxslim.slim(made("Reshape", "2,3")))
    raise SystemExit("the behaviour changed")
except Exception as error:
    print(str(error).splitlines()[0])
    assert "Invalid input name: shape" in str(error), "another error"
PYTHON
