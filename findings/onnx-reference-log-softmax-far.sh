#!/usr/bin/env bash
# LogSoftmax of an element that lies more than about 103 below the largest: onnx 1.23.2's reference takes the logarithm of a softmax that is 0 in
# f32, minus infinity. Onnx's own function for LogSoftmax and ONNX Runtime 1.32.0 (CPU) subtract the logarithm of the sum, as f64 has
# it. Seen on 2026-11-29, of (0, -200):
#   runtime and function 0, -200; reference 0, -inf
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


np.seterr(divide="ignore")
feeds = {"x": np.array([[0, -200]], np.float32)}
model = model_of(helper.make_node("LogSoftmax", ["x"], ["y"]), 13, feeds, np.float32, 2)
schema = onnx.defs.get_schema("LogSoftmax", 13)
types = [helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [1, 2]).SerializeToString()]
body = schema.get_context_dependent_function_with_opset_version(13, model.graph.node[0].SerializeToString(), types)
function = onnx.FunctionProto.FromString(body)
by_function = ReferenceEvaluator(function).run(None, {function.input[0]: feeds["x"]}, attributes={"axis": -1})[0]
exact = feeds["x"].astype(np.float64)
expected = exact - np.log(np.exp(exact).sum())
found, other = runtime(model, feeds), reference(model, feeds)
print(f"runtime {found.tolist()}, function {by_function.tolist()}, reference {other.tolist()}, in f64 {expected.tolist()}")
assert np.allclose(found, expected) and np.allclose(by_function, expected), "the runtime and the function are right"
assert other.tolist() == [[0, -np.inf]], "the behaviour changed"
PYTHON
