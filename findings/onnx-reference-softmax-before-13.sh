#!/usr/bin/env bash
# Up to opset 12 Softmax normalises over all axes from `axis` on (default 1), as a matrix; from 13 on along `axis` alone. onnx 1.23.2's reference
# evaluator computes models of the older opsets by the newer rule. ONNX Runtime 1.32.0 (CPU) follows the model's opset. Seen on 2026-11-29,
# sums over the last two axes of 2 x 3 x 4, default axis, opset 11:
#   runtime 1, 1; reference 4, 4 (default axis 1, alone)
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
x = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)


def sums(version, **attributes):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"], **attributes)], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=6)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = [result[0].sum((1, 2)).round(5).tolist() for result in (session.run(None, {"x": x}), ReferenceEvaluator(model).run(None, {"x": x}))]
    print(f"opset {version} {attributes}: runtime {found[0]}, reference {found[1]}")
    return found


assert sums(13, axis=1) == [[4, 4]] * 2, "opset 13 is the same in both"
assert sums(11, axis=2) == [[3, 3]] * 2, "the last axis means the same in all versions"
assert sums(11, axis=1) == [[1, 1], [4, 4]], "the behaviour changed"
PYTHON
