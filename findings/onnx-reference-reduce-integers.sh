#!/usr/bin/env bash
# Reductions of int32: onnx 1.23.2's reference gives int64 for ReduceSumSquare, which has the type of its input, and raises TypeErrors for
# ReduceLogSum and ReduceLogSumExp, which take int32. ONNX Runtime 1.32.0 (CPU) keeps the type. Seen on 2026-11-29, of (3, 4):
#   ReduceSumSquare 25: runtime int32, reference int64; ReduceLogSum, ReduceLogSumExp: runtime 1 and 4, reference "Issues with types"
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


feeds = {"x": np.array([[3, 4]], np.int32), "axes": np.array([1], np.int64)}


def model(operator):
    return model_of(helper.make_node(operator, list(feeds), ["y"], keepdims=0), 18, feeds, np.int32, 1)


found, other = runtime(model("ReduceSumSquare"), feeds), reference(model("ReduceSumSquare"), feeds)
print(f"ReduceSumSquare: runtime {found} {found.dtype}, reference {other} {other.dtype}")
assert reference(model("ReduceSum"), feeds).dtype == np.int32, "ReduceSum keeps the type"
assert found.dtype == np.int32 and found.tolist() == other.tolist() == [25], "the same number"
for operator in ("ReduceLogSum", "ReduceLogSumExp"):
    found = runtime(model(operator), feeds)
    try:
        raise AssertionError(f"the behaviour of {operator} changed: {reference(model(operator), feeds)}")
    except TypeError as error:
        print(f"{operator}: runtime {found} {found.dtype}, reference: {str(error)[:60]}")
assert other.dtype == np.int64, "the behaviour changed"
PYTHON
