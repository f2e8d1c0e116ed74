#!/usr/bin/env bash
# Cast of strings in scientific notation to double: ONNX Runtime 1.32.0 (CPU) raises an error for numbers below 2.2e-308, which double has as
# subnormal numbers: it reads with std::stod, which reports them as out of range. Onnx 1.23.2's reference and Python's float read
# them. Seen on 2026-11-29:
#   "2.3e-308": both; "1e-310": runtime "stod", reference 1e-310
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def model_of(node, opset, feeds, kind, rank):
    ports = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for name, x in feeds.items()]
    output = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), [f"d{i}" for i in range(rank)])
    model = helper.make_model(helper.make_graph([node], "g", ports, [output]), opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def runtime(model, feeds):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def reference(model, feeds):
    return ReferenceEvaluator(model).run(None, feeds)[0]


feeds = {"x": np.array(["2.3e-308"], object)}
model = model_of(helper.make_node("Cast", ["x"], ["y"], to=onnx.TensorProto.DOUBLE), 21, feeds, np.float64, 1)
assert runtime(model, feeds)[0] == reference(model, feeds)[0] == 2.3e-308, "normal numbers are read"
for text in ("1e-310", "4.9e-324"):
    feeds = {"x": np.array([text], object)}
    other = reference(model, feeds)[0]
    assert other == float(text) > 0, "the reference reads it"
    try:
        raise AssertionError(f"the behaviour changed: {runtime(model, feeds)}")
    except onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException as error:
        print(f"{text}: runtime: {str(error)[-20:]}; reference {other}")
PYTHON
