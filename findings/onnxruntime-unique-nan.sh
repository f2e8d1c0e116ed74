#!/usr/bin/env bash
# Unique of floats among which a NaN comes first: ONNX Runtime 1.32.0 (CPU) finds a single value, NaN, as often as there are elements; all
# numbers are lost. Behind other numbers NaN is counted as one of them. numpy.unique, to which ONNX refers, and onnx 1.23.2's reference keep
# the numbers. Seen on 2026-11-29:
#   NaN, 3, 1, 3: runtime NaN, 4 times; reference 1, 3, NaN
#   3, 1, NaN, 2: runtime 1, 2, 3, counted 2, 1, 1; reference 1, 2, 3, NaN
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
names = ["y", "indices", "inverse", "counts"]
ports = [helper.make_tensor_value_info(name, TensorProto.INT64 if name != "y" else TensorProto.FLOAT, None) for name in names]
graph = helper.make_graph([helper.make_node("Unique", ["x"], names)], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])], ports)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def unique(*values):
    x = np.array(values, np.float32)
    runtime, reference = session.run(None, {"x": x}), ReferenceEvaluator(model).run(None, {"x": x})
    assert np.array_equal(reference[0], np.unique(x), equal_nan=True), "the reference is numpy's"
    print(f"{values}: runtime {runtime[0]} counted {runtime[3]}, reference {reference[0]} counted {reference[3]}")
    return runtime[0].tolist(), runtime[3].tolist()


nan = float("nan")
assert unique(3, 1, 3, 2) == ([1, 2, 3], [1, 1, 2]), "numbers are right"
first, last = unique(nan, 3, 1, 3), unique(3, 1, nan, 2)
assert str(first) == "([nan], [4])", "the behaviour changed"
assert last == ([1, 2, 3], [2, 1, 1]), "the behaviour behind numbers changed"
PYTHON
