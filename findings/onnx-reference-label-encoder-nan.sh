#!/usr/bin/env bash
# LabelEncoder with NaN among its keys: "Float keys with value 'NaN' match any input 'NaN' value". Onnx 1.23.2's reference looks keys up in a
# dictionary, where NaN is equal to nothing, and gives the default. ONNX Runtime 1.32.0 (CPU) gives NaN's value. Seen on 2026-11-29:
#   keys 1 and NaN, values 10 and 20, default -5: of NaN the runtime gives 20, the reference -5
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
keys = {"keys_floats": [1.0, float("nan")], "values_floats": [10.0, 20.0], "default_float": -5.0}
node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", **keys)
ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy"]
opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 4)]
model = helper.make_model(helper.make_graph([node], "g", ports[:1], ports[1:]), opset_imports=opsets, ir_version=10)
onnx.checker.check_model(model, full_check=True)
feeds = {"x": np.array([1, np.nan, 2], np.float32)}
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
found, other = session.run(None, feeds)[0], ReferenceEvaluator(model).run(None, feeds)[0]
print(f"of {feeds['x'].tolist()}: runtime {found.tolist()}, reference {other.tolist()}")
assert found.tolist() == [10, 20, -5], "the runtime is by the text"
assert other.tolist() == [10, -5, -5], "the behaviour changed"
PYTHON
