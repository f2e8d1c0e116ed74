#!/usr/bin/env bash
# GatherElements with fewer indices than the data has along another axis than `axis`, which ONNX's equations define: onnx
# 1.23.2's reference raises an error, and onnx's shape inference and ONNX Runtime 1.32.0 (CPU) take it. Seen on 2026-11-29:
#   data 3 x 4, indices 2 x 2, axis 0: runtime as the equations; reference "all dimensions of index and self should be the same size"
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


feeds = {"x": np.arange(12, dtype=np.float32).reshape(3, 4), "i": np.array([[0, 2], [1, 0]], np.int64)}
model = model_of(helper.make_node("GatherElements", list(feeds), ["y"], axis=0), 13, feeds, np.float32, 2)
expected = [[feeds["x"][feeds["i"][i, j], j] for j in range(2)] for i in range(2)]
found = runtime(model, feeds)
full = feeds | {"i": np.array([[0, 2, 1, 0]], np.int64)}
fitting = model_of(helper.make_node("GatherElements", list(feeds), ["y"], axis=0), 13, full, np.float32, 2)
assert np.array_equal(found, expected) and np.array_equal(runtime(fitting, full), reference(fitting, full)), "as the equations"
try:
    other = reference(model, feeds)
except ValueError as error:
    print(f"runtime {found.tolist()}, reference: {error}")
else:
    raise AssertionError(f"the behaviour changed: {other}")
PYTHON
