#!/usr/bin/env bash
# onnx 1.23.2's version_converter lowers AveragePool from opset 19 to 18 and keeps `dilations`, which 18 does not have; likewise an explicit
# `saturate` of Cast. There is no error: the model that comes back is one that onnx's own checker and ONNX Runtime 1.32.0 refuse. Other attributes
# that are missing in the older version raise an error of the conversion. Seen on 2026-11-29:
#   AveragePool 19 -> 18: "Unrecognized attribute: dilations"; Cast 19 -> 18: "Unrecognized attribute: saturate"; MaxPool, which has it in 18: right
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
from onnx import TensorProto, checker, helper, version_converter


def lowered(op, output_type=TensorProto.FLOAT, **attributes):
    x, y = (helper.make_tensor_value_info(name, kind, [1, 1, 5, 5]) for name, kind in (("x", TensorProto.FLOAT), ("y", output_type)))
    if "kernel_shape" in attributes:
        y = helper.make_tensor_value_info("y", output_type, [1, 1, 3, 3])
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], **attributes)], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    checker.check_model(model, full_check=True)
    converted = version_converter.convert_version(model, 18)
    try:
        checker.check_model(converted, full_check=True)
        said = "accepted"
    except checker.ValidationError as error:
        said = str(error).splitlines()[0]
    print(f"{op} 19 to 18: {said}")
    return said


assert lowered("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]) == "accepted", "MaxPool has dilations in both"
assert lowered("Cast", TensorProto.FLOAT16, to=TensorProto.FLOAT16) == "accepted", "a plain Cast is the same in both"
assert "attribute: dilations" in lowered("AveragePool", kernel_shape=[2, 2], dilations=[2, 2]), "the behaviour changed"
assert "attribute: saturate" in lowered("Cast", TensorProto.FLOAT16, to=TensorProto.FLOAT16, saturate=1), "the behaviour of Cast changed"
PYTHON
