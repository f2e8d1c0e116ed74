#!/usr/bin/env bash
# ReduceSum and ReduceProd of int64 are computed in f64 by ONNX Runtime 1.32.0 (CPU): results from 2^53 on lose their last digits. Onnx 1.23.2's
# reference and Python's integers are exact, and so are the runtime's ReduceMax and Add. Seen on 2026-11-29:
#   (2^53 + 1) + 1: runtime 9007199254740992, exact ...994; product of 3^20 and 3^18: off by 89; Add of the same two numbers is exact
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def model_of(node, opset, feeds, kind, rank):
    ports = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for name, x in feeds.items()]
    output = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), [f"d{i}" for i in range(rank)])
    model = helper.make_model(helper.make_graph([node], "g", ports, [output]), opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def runtime(model, feeds):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def reference(model, feeds):
    return ReferenceEvaluator(model).run(None, feeds)[0]


import math

for operator, numbers, exactly in (("ReduceSum", [2**53 + 1, 1], sum), ("ReduceProd", [3**20, 3**18], math.prod), ("ReduceMax", [2**53 + 1, 1], max)):
    feeds = {"x": np.array(numbers, np.int64), "axes": np.array([0], np.int64)}
    model = model_of(helper.make_node(operator, list(feeds), ["y"], keepdims=0), 18, feeds, np.int64, 0)
    found, other = int(runtime(model, feeds)), int(reference(model, feeds))
    print(f"{operator} of {numbers}: runtime {found}, reference {other}, exact {exactly(numbers)}")
    assert other == exactly(numbers), "the reference is exact"
    assert (found == other) == (operator == "ReduceMax"), "the behaviour changed"
add = {"a": np.array([2**53 + 1], np.int64), "b": np.array([1], np.int64)}
added = runtime(model_of(helper.make_node("Add", ["a", "b"], ["y"]), 14, add, np.int64, 1), add)
assert added.tolist() == [2**53 + 2], "Add is exact"
PYTHON
