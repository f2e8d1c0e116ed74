#!/usr/bin/env bash
# Unique with sorted=0, the order of first occurrence. onnx 1.23.2's reference takes the values along axis 0 of the input as it stands, whatever
# axis is asked for: of a matrix that it should flatten it raises an error, along axis 1 it gives rows instead of columns; with the first output
# alone it sorts. ONNX Runtime 1.32.0 (CPU) does what the text says. Seen on 2026-11-29, of
# [[2, 1, 2], [0, 1, 0]]:
#   flat: runtime [2, 1, 0], reference IndexError; axis 1: [[2, 1], [0, 1]] and [[2, 1, 2], [0, 1, 0]]; of [2, 1] one output: [2, 1] and [1, 2]
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
matrix = np.array([[2, 1, 2], [0, 1, 0]], np.float32)


def unique(x, outputs, **attributes):
    names = ["y", "indices", "inverse", "counts"][:outputs]
    ports = [helper.make_tensor_value_info(name, TensorProto.INT64 if name != "y" else TensorProto.FLOAT, None) for name in names]
    x_port = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)]
    graph = helper.make_graph([helper.make_node("Unique", ["x"], names, sorted=0, **attributes)], "g", x_port, ports)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    try:
        reference = ReferenceEvaluator(model).run(None, {"x": x})[0].tolist()
    except IndexError:
        reference = "IndexError"
    runtime = session.run(None, {"x": x})[0].tolist()
    print(f"{x.tolist()}, {outputs} outputs, {attributes}: runtime {runtime}, reference {reference}")
    return runtime, reference


seen = [unique(matrix, 4), unique(matrix, 4, axis=1), unique(matrix[0, :2], 1), unique(matrix[0], 4)]
assert [runtime for runtime, _ in seen] == [[2, 1, 0], [[2, 1], [0, 1]], [2, 1], [2, 1]], "the runtime follows the text"
assert seen[3][1] == [2, 1], "a vector with all outputs is right"
assert [reference for _, reference in seen[:3]] == ["IndexError", [[2, 1, 2], [0, 1, 0]], [1, 2]], "the behaviour changed"
PYTHON
