#!/usr/bin/env bash
# Conv with auto_pad SAME_UPPER and dilations, which no word of ONNX's text forbids: ONNX Runtime 1.32.0 (CPU) refuses to run it. Onnx 1.23.2's
# reference gives what the runtime gives for the same pads written out. Seen on 2026-11-29, 7 elements, kernel 3, dilation 2, stride 2:
#   "Dilation not supported for AutoPadType::SAME_UPPER or AutoPadType::SAME_LOWER"; with pads (2, 2) both run and agree
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


feeds = {"x": np.arange(7, dtype=np.float32).reshape(1, 1, 7), "w": np.array([[[1, 10, 100]]], np.float32)}


def model(**attributes):
    node = helper.make_node("Conv", list(feeds), ["y"], strides=[2], dilations=[2], **attributes)
    return model_of(node, 22, feeds, np.float32, 3)


# ceil(7 / 2) = 4 outputs reach over (4 - 1) * 2 + (3 - 1) * 2 + 1 = 11 elements, 4 more than there are.
written, same = runtime(model(pads=[2, 2]), feeds), reference(model(auto_pad="SAME_UPPER"), feeds)
print(f"pads written out: runtime {written.ravel().tolist()}; SAME_UPPER: reference {same.ravel().tolist()}")
assert np.array_equal(written, same), "the reference pads by the text"
try:
    other = runtime(model(auto_pad="SAME_UPPER"), feeds)
except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
    print(f"SAME_UPPER: runtime: {str(error)[-100:]}")
else:
    raise AssertionError(f"the behaviour changed: {other}")
PYTHON
