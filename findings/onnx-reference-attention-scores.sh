#!/usr/bin/env bash
# Attention (24) with a softcap and qk_matmul_output_mode 0, "the output of the QK matmul": onnx 1.23.2's reference gives the scores with the cap
# on them, the same as in mode 1. ONNX Runtime 1.32.0 (CPU) gives the product, as f64 and onnx's own function have it. Seen on
# 2026-11-29, a product of 4 and a cap of 1.5:
#   mode 0: runtime 4, reference 1.486; mode 1: both 1.486
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
feeds = {name: np.full((1, 1, 1, 4), value, np.float32) for name, value in (("q", 2), ("k", 1), ("v", 1))}
cap = 1.5
product = float((feeds["q"].astype(np.float64) * feeds["k"]).sum() / np.sqrt(4))


def scores(mode):
    node = helper.make_node("Attention", list(feeds), ["y", "", "", "scores"], softcap=cap, qk_matmul_output_mode=mode)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name, x in feeds.items()]
    shapes = (("y", (1, 1, 1, 4)), ("scores", (1, 1, 1, 1)))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes]
    graph = helper.make_graph([node], "g", ports, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    onnx.checker.check_model(model, full_check=True)
    schema = onnx.defs.get_schema("Attention", 24)
    types = [helper.make_tensor_type_proto(TensorProto.FLOAT, x.shape).SerializeToString() for x in feeds.values()]
    body = schema.get_context_dependent_function_with_opset_version(24, node.SerializeToString(), types)
    function = onnx.FunctionProto.FromString(body)
    attributes = {port.name: helper.get_attribute_value(port) for port in function.attribute_proto}
    attributes |= {"softcap": cap, "qk_matmul_output_mode": mode, "is_causal": 0}
    inputs = dict(zip(function.input, feeds.values()))
    (by_function,) = ReferenceEvaluator(function).run(["qk_matmul_output"], inputs, attributes=attributes)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[1].item(), by_function.item(), ReferenceEvaluator(model).run(None, feeds)[1].item()


raw, capped = scores(0), scores(1)
print(f"runtime, function, reference: mode 0 {raw}, mode 1 {capped}; product {product}, with the cap {cap * np.tanh(product / cap):.6f}")
assert np.allclose(capped, cap * np.tanh(product / cap)), "mode 1 is with the cap everywhere"
assert np.allclose(raw[:2], product), "the runtime and the function give the product"
assert np.isclose(raw[2], capped[2]), "the behaviour changed"
PYTHON
