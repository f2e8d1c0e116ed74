#!/usr/bin/env bash
# LpNormalization with p = 1. onnx 1.23.2's reference divides by the sum of the elements instead of the sum of their absolute values: signs
# flip where the sum is negative, and 1, -1 comes out as zeros, as if the norm were 0. ONNX Runtime 1.32.0 (CPU) has the L1 norm, as
# numpy.linalg.norm(x, 1). Seen on 2026-11-29:
#   (3, -1): runtime (0.75, -0.25), reference (1.5, -0.5); (1, -3): (0.25, -0.75) and (-0.5, 1.5); (1, -1): (0.5, -0.5) and (0, 0)
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
np.seterr(all="ignore")
x = np.array([[3, -1], [1, -3], [1, -1], [1, 3]], np.float32)
ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in "xy"]
graph = helper.make_graph([helper.make_node("LpNormalization", ["x"], ["y"], axis=1, p=1)], "g", ports[:1], ports[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
runtime, reference = session.run(None, {"x": x})[0], ReferenceEvaluator(model).run(None, {"x": x})[0]
expected = x / np.linalg.norm(x, 1, axis=1, keepdims=True)
print(f"runtime\n{runtime}\nreference\n{reference}\nby numpy's norm\n{expected}")
assert np.allclose(runtime, expected), "the runtime has the L1 norm"
assert np.allclose(reference[3], expected[3]), "positive elements are right"
assert reference[:3].tolist() == [[1.5, -0.5], [-0.5, 1.5], [0, 0]], "the behaviour changed"
PYTHON
