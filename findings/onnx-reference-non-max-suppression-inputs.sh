#!/usr/bin/env bash
# NonMaxSuppression without its last inputs, which are optional and 0 unless given: onnx 1.23.2's reference raises a TypeError unless all five are
# there. ONNX Runtime 1.32.0 (CPU) runs with two to five. Seen on 2026-11-29, three boxes, at most two:
#   three inputs: runtime boxes 1, 2; reference "Issues with types"; five inputs: both the same boxes
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


boxes = np.array([[[0, 0, 1, 1], [0, 0, 1, 1.1], [5, 5, 6, 6]]], np.float32)
feeds = {"boxes": boxes, "scores": np.array([[[0.5, 0.9, 0.7]]], np.float32), "most": np.array([2], np.int64)}
node = helper.make_node("NonMaxSuppression", list(feeds), ["y"])
model = model_of(node, 11, feeds, np.int64, 2)
found = runtime(model, feeds)
full = feeds | {"overlap": np.array([0], np.float32), "least": np.array([0], np.float32)}
full_model = model_of(helper.make_node("NonMaxSuppression", list(full), ["y"]), 11, full, np.int64, 2)
assert np.array_equal(runtime(full_model, full), reference(full_model, full)) and found[:, 2].tolist() == [1, 2], "the defaults"
try:
    other = reference(model, feeds)
except TypeError as error:
    print(f"three inputs: runtime {found.tolist()}, reference: {str(error)[:60]}; five inputs: both {reference(full_model, full).tolist()}")
else:
    raise AssertionError(f"the behaviour changed: {other}")
PYTHON
