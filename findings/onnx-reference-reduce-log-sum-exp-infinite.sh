#!/usr/bin/env bash
# ReduceLogSumExp of elements that are all minus infinity, as the scores of a row that is masked: log(0 + 0) is minus infinity, which ONNX's text has
# for no elements too. Onnx 1.23.2's reference subtracts the largest first and gives NaN. ONNX Runtime 1.32.0 (CPU) and numpy.logaddexp
# have minus infinity. Seen on 2026-11-29:
#   (-inf, -inf): runtime -inf, reference NaN; (-inf, 1): both 1
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


np.seterr(invalid="ignore")
feeds = {"x": np.array([[-np.inf, -np.inf], [-np.inf, 1]], np.float32), "axes": np.array([1], np.int64)}
model = model_of(helper.make_node("ReduceLogSumExp", list(feeds), ["y"], keepdims=0), 18, feeds, np.float32, 1)
expected = np.logaddexp.reduce(feeds["x"].astype(np.float64), axis=1)
found, other = runtime(model, feeds), reference(model, feeds)
print(f"runtime {found.tolist()}, reference {other.tolist()}, numpy {expected.tolist()}")
assert np.array_equal(found, expected) and other[1] == 1, "the runtime is right, and the reference where an element is finite"
assert np.isnan(other[0]), "the behaviour changed"
PYTHON
