#!/usr/bin/env bash
# OneHot with indices of a floating-point type: "the values will be casted to int64 before use". Onnx 1.23.2's reference compares them as they are,
# so that a row of 1.6 or -0.5 has no 1. ONNX Runtime 1.32.0 (CPU) casts, 1.6 to 1 and -0.5 to 0. Seen on 2026-11-29, depth 3:
#   indices 0, 1.6, -0.5: runtime ones at 0, 1, 0; reference at 0 and no others
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


feeds = {"i": np.array([0, 1.6, -0.5], np.float32), "depth": np.array(3, np.float32), "values": np.array([0, 1], np.float32)}
model = model_of(helper.make_node("OneHot", list(feeds), ["y"]), 11, feeds, np.float32, 2)
found, other = runtime(model, feeds), reference(model, feeds)
print(f"runtime {found.tolist()}, reference {other.tolist()}")
whole = feeds | {"i": feeds["i"].astype(np.int64).astype(np.float32)}
assert np.array_equal(found, reference(model, whole)), "the runtime gives what the reference gives for indices that are cast before"
assert other.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]], "the behaviour changed"
PYTHON
