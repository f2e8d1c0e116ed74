#!/usr/bin/env bash
# ONNX Runtime 1.32.0 (CPU): Resize with keep_aspect_ratio_policy. Axes counted from the end, which the operator allows, are sized as if
# they were not listed: the input's size stays there. onnx 1.23.2's reference raises an error. Seen on 2026-11-29, 4 x 5 to 9 x 9:
#   axes 2, 3 not_larger: runtime (7, 9), reference (7, 9); axes -2, -1: runtime (4, 5), reference an error;
#   axes -1, 2: runtime (9, 5); with the policy `stretch` all are (9, 9).
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
x = np.arange(20, dtype=np.float32).reshape(1, 1, 4, 5)
sizes = helper.make_tensor("sizes", TensorProto.INT64, [2], [9, 9])


def shapes(axes, policy):
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear", axes=axes, keep_aspect_ratio_policy=policy)
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    model = helper.make_model(helper.make_graph([node], "g", *ports, [sizes]), opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    try:
        reference = ReferenceEvaluator(model).run(None, {"x": x})[0].shape[2:]
    except ValueError as error:
        reference = str(error)
    found = session.run(None, {"x": x})[0].shape[2:]
    print(f"axes {axes} {policy}: runtime {found}, reference {reference}")
    return found, reference


assert shapes([2, 3], "not_larger") == ((7, 9), (7, 9)), "the ratio is kept"
assert shapes([2, 3], "not_smaller") == ((9, 11), (9, 11)), "the ratio is kept"
assert shapes([-2, -1], "stretch")[0] == (9, 9), "axes from the end are understood"
seen = [shapes(axes, policy) for axes, policy in (([-2, -1], "not_larger"), ([-2, -1], "not_smaller"), ([-1, 2], "not_larger"))]
assert [found for found, _ in seen] == [(4, 5), (4, 5), (9, 5)], "the behaviour changed"
assert all(isinstance(reference, str) for _, reference in seen), "the behaviour of the reference changed"
PYTHON
