#!/usr/bin/env bash
# Pad with negative pads, "the number of padding elements to add or remove (if negative)": onnx 1.23.2's reference raises an error in every mode.
# ONNX Runtime 1.32.0 (CPU) removes, in mode constant as a slice with padding does. Seen on 2026-11-29, of 0, 1, 2, 3, 4 and pads (-2, 2):
#   runtime: 2, 3, 4, 0, 0; reference: "index can't contain negative values"
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


feeds = {"x": np.arange(5, dtype=np.float32), "pads": np.array([-2, 2], np.int64)}
for mode in ("constant", "edge", "wrap"):
    model = model_of(helper.make_node("Pad", list(feeds), ["y"], mode=mode), 19, feeds, np.float32, 1)
    found = runtime(model, feeds)
    positive = feeds | {"pads": np.array([1, 2], np.int64)}
    assert np.array_equal(runtime(model, positive), reference(model, positive)), "positive pads are right"
    assert found[:3].tolist() == [2, 3, 4] and (mode != "constant" or found[3:].tolist() == [0, 0]), "the runtime removes"
    try:
        other = reference(model, feeds)
    except ValueError as error:
        print(f"{mode}: runtime {found.tolist()}, reference: {error}")
    else:
        raise AssertionError(f"the behaviour changed: {other}")
PYTHON
