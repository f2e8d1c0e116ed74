#!/usr/bin/env bash
# Bernoulli: ONNX's text has a 1 "produced with probability p". onnx 1.23.2's function for it, by which ONNX Runtime 1.32.0 (CPU) computes it, is
# Greater(random, p), a 1 with probability 1 - p: where p is 0 every draw is 1. Onnx's reference does as the text says. Seen on
# 2026-11-29:
#   p 0, 1: runtime 1, 0; reference 0, 1. 100,000 draws with p = 0.9: 0.10 of them are 1 in the runtime, 0.90 in the reference
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


def drawn(probabilities):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, probabilities.shape) for name in "py"]
    graph = helper.make_graph([helper.make_node("Bernoulli", ["p"], ["y"], seed=1.0)], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"p": probabilities})[0], ReferenceEvaluator(model).run(None, {"p": probabilities})[0]


schema = onnx.defs.get_schema("Bernoulli", 22)
types = [helper.make_tensor_type_proto(TensorProto.FLOAT, [2]).SerializeToString()]
node = helper.make_node("Bernoulli", ["p"], ["y"]).SerializeToString()
function = onnx.FunctionProto.FromString(schema.get_context_dependent_function_with_opset_version(22, node, types))
steps = [(step.op_type, list(step.input)) for step in function.node]
print(steps)
certain, many = drawn(np.array([0, 1], np.float32)), drawn(np.full(100_000, 0.9, np.float32))
for name, sure, draws in zip(("runtime", "reference"), certain, many):
    print(f"{name}: of 0 and 1 {sure.tolist()}, mean of draws with 0.9: {draws.mean():.3f}")
assert certain[1].tolist() == [0, 1] and abs(many[1].mean() - 0.9) < 0.01, "the reference draws by the text"
assert steps[1] == ("Greater", ["X_random", "input"]), "onnx's function changed"
assert certain[0].tolist() == [1, 0] and abs(many[0].mean() - 0.1) < 0.01, "the runtime changed"
PYTHON
