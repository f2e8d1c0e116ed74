#!/usr/bin/env bash
# GridSample, cubic with padding_mode `border`. A place less than two elements outside still has inner elements among its four neighbours.
# onnx 1.23.2's reference moves a place beyond the outer edge onto the border first; ONNX Runtime 1.32.0 (CPU) takes the border for those neighbours that are
# outside and weighs all four, as PyTorch's grid_sample does (2.15.0 gives ONNX Runtime's numbers). Seen on 2026-11-29, of 0, 1, 2, 7:
#   three quarters of an element beyond the 7: runtime 7.176, reference 7; half an element: 7.469 in both; linear: 7
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
x = np.array([0, 1, 2, 7], np.float32).reshape(1, 1, 1, 4)
place = 3.75
grid = np.array([(2 * place + 1) / 4 - 1, 0], np.float32).reshape(1, 1, 1, 2)


def sampled(mode):
    shapes = {"x": [1, 1, 1, 4], "grid": [1, 1, 1, 2], "y": [1, 1, 1, 1]}
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    node = helper.make_node("GridSample", ["x", "grid"], ["y"], mode=mode, padding_mode="border", align_corners=0)
    graph = helper.make_graph([node], "g", ports[:2], ports[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"x": x, "grid": grid}
    return [float(result[0].item()) for result in (session.run(None, feeds), ReferenceEvaluator(model).run(None, feeds))]


def cubic_weight(distance, a=-0.75):
    d = abs(distance)
    return (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a


by_neighbours = sum(cubic_weight(place - i) * float(x[0, 0, 0, min(i, 3)]) for i in range(2, 6))
(runtime, reference), linear = sampled("cubic"), sampled("linear")
print(f"cubic: runtime {runtime}, reference {reference}, by neighbours in f64 {by_neighbours}; linear: {linear}")
assert linear == [7, 7], "linear interpolation sees no difference"
assert abs(runtime - by_neighbours) < 1e-5, "the runtime's behaviour changed"
assert reference == 7 and by_neighbours > 7.1, "the reference's behaviour changed"
PYTHON
