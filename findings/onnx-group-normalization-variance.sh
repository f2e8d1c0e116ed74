#!/usr/bin/env bash
# GroupNormalization (opset 21) is a function whose variance is the mean of squares less the square of the mean. onnx 1.23.2's reference
# and ONNX Runtime 1.32.0 (CPU) compute it so in f32: of data with a mean of 10,000 and a deviation of 1 nothing is left, while
# InstanceNormalization of the same groups is right in both. Seen on 2026-11-29, relative L2 from the formula in f64:
#   mean 1,000: runtime 6.5e-02, reference 7.9e-02; mean 10,000: runtime 206, reference 0.49, and 72 of 144 elements are NaN in both;
#   InstanceNormalization: 9e-05 and 6e-05, 9e-04 and 8e-04
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


def results(op, x, count, **attributes):
    ones, zeros = (helper.make_tensor(name, TensorProto.FLOAT, [count], [value] * count) for name, value in (("s", 1.0), ("b", 0.0)))
    ports = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)] for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, ["x", "s", "b"], ["y"], epsilon=1e-5, **attributes)], "g", *ports, [ones, zeros])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0], ReferenceEvaluator(model).run(None, {"x": x})[0]


def judged(found, expected):
    found, expected = found.ravel().astype(np.float64), expected.ravel()
    finite = np.isfinite(found)
    return float(np.linalg.norm((found - expected)[finite]) / np.linalg.norm(expected)), int((~finite).sum())


draw = np.random.default_rng(1).standard_normal((1, 2, 72))
for mean in (1_000, 10_000):
    x = (draw + mean).astype(np.float32)
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(wide.var(-1, keepdims=True) + 1e-5)
    groups = [judged(y, expected) for y in results("GroupNormalization", x.reshape(1, 4, 6, 6), 4, num_groups=2)]
    instances = [judged(y, expected) for y in results("InstanceNormalization", x, 2)]
    print(f"mean {mean}: GroupNormalization runtime {groups[0]}, reference {groups[1]}; InstanceNormalization {instances}")
    assert all(error < 1e-3 and nans == 0 for error, nans in instances), "InstanceNormalization is right"
    assert all(error > 5e-3 or nans > 0 for error, nans in groups), "the behaviour changed"
PYTHON
