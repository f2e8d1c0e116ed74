#!/usr/bin/env bash
# Up to opset 12 Softmax, LogSoftmax and Hardmax normalise over all axes from `axis` on; from 13 on along `axis` alone. onnx 1.23.2's
# version_converter carries `axis` over as it is where it lowers Softmax and LogSoftmax from 13 to 12 and where it raises Hardmax from 12 to 13:
# the models are valid and compute something else. Softmax from 12 to 13 it flattens, as it must. Seen on 2026-11-29, axis 1 of 2 x 3 x 4 in
# ONNX Runtime 1.32.0 (CPU):
#   Softmax 13 to 12: sums over the axis 1.0 before, 0.14 to 0.6 after; Hardmax 12 to 13: ones 2 before, 8 after; Softmax 12 to 13: equal
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, version_converter

onnxruntime.set_default_logger_severity(4)
x = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)


def made(op, version):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], axis=1)], "g", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=7)


def result(model):
    checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def before_and_after(op, version, target):
    model = made(op, version)
    return result(model), result(version_converter.convert_version(model, target))


before, after = before_and_after("Softmax", 12, 13)
assert np.allclose(before, after), "Softmax is raised correctly"
before, after = before_and_after("Softmax", 13, 12)
print(f"Softmax 13 to 12: sums along the axis from {before.sum(1).min():.2f}, {before.sum(1).max():.2f} to {after.sum(1).min():.2f}, {after.sum(1).max():.2f}")
assert np.allclose(before.sum(1), 1) and np.allclose(after.sum((1, 2)), 1) and after.sum(1).max() < 0.99, "the behaviour changed"
before, after = before_and_after("LogSoftmax", 13, 12)
assert np.allclose(np.exp(before).sum(1), 1) and np.allclose(np.exp(after).sum((1, 2)), 1), "the behaviour of LogSoftmax changed"
before, after = before_and_after("Hardmax", 12, 13)
print(f"Hardmax 12 to 13: {int(before.sum())} ones become {int(after.sum())}")
assert before.sum() == 2 and after.sum() == 8, "the behaviour of Hardmax changed"
PYTHON
