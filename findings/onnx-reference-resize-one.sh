#!/usr/bin/env bash
# Resize with pytorch_half_pixel. By ONNX's formula an output one element long takes place 0 of the input; onnx 1.23.2's reference takes -0.5,
# which linear interpolation hides at the border, and cubic interpolation and antialiasing do not. ONNX Runtime 1.32.0 (CPU) takes place 0.
# Seen on 2026-11-29, of 1, 2, 4, 8 to one element:
#   linear: 1 and 1; cubic: runtime 1, reference 0.90625; linear with antialias: 2 and 1.65625
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
x = np.array([1, 2, 4, 8], np.float32).reshape(1, 1, 1, 4)


def resized(length, **attributes):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, width]) for name, width in (("x", 4), ("y", length))]
    sizes = helper.make_tensor("sizes", TensorProto.INT64, [1], [length])
    mode = {"coordinate_transformation_mode": "pytorch_half_pixel", "axes": [3]}
    graph = helper.make_graph([helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **mode, **attributes)], "g", ports[:1], ports[1:], [sizes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": x})[0].ravel(), ReferenceEvaluator(model).run(None, {"x": x})[0].ravel()
    print(f"{attributes} to {length}: runtime {found[0]}, reference {found[1]}")
    return found


def tent(place, scale):
    weights = {i: max(0, 1 - abs(i - place) * scale) for i in range(-8, 12)}
    return sum(w * float(x[0, 0, 0, min(max(i, 0), 3)]) for i, w in weights.items()) / sum(weights.values())


for attributes in ({"mode": "linear"}, {"mode": "cubic"}, {"mode": "linear", "antialias": 1}):
    assert np.allclose(*resized(2, **attributes), atol=1e-5), "two elements are alike"
assert [value.tolist() for value in resized(1, mode="linear")] == [[1], [1]], "plain linear interpolation sees no difference"
runtime, reference = resized(1, mode="cubic")
assert runtime == 1 and abs(reference[0] - 1) > 0.05, "the behaviour changed"
runtime, reference = resized(1, mode="linear", antialias=1)
print("a tent of four elements around 0 and -0.5 in f64:", tent(0, 0.25), tent(-0.5, 0.25))
assert abs(runtime[0] - tent(0, 0.25)) < 1e-5 and abs(reference[0] - tent(-0.5, 0.25)) < 1e-5, "the behaviour with antialiasing changed"
PYTHON
