#!/usr/bin/env bash
# ConvTranspose with an output_shape shorter than all that the kernels reach: ONNX's equations derive the pads that cut it. Onnx 1.23.2's reference
# leaves them 0 where one dimension is given and raises an error. ONNX Runtime 1.32.0 (CPU) gives the equations' part of the whole,
# and so does the reference for the same pads written out. Seen on 2026-11-29, 3 elements, kernel 3, stride 2, output_shape 6:
#   runtime: all but the first of the 7; reference: "expected size of input's dimension 2 to match the calculated number of sliding blocks"
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


feeds = {"x": np.array([[[1, 2, 3]]], np.float32), "w": np.array([[[1, 10, 100]]], np.float32)}


def model(**attributes):
    return model_of(helper.make_node("ConvTranspose", list(feeds), ["y"], strides=[2], **attributes), 22, feeds, np.float32, 3)


whole, found = runtime(model(), feeds), runtime(model(output_shape=[6]), feeds)
# total_padding = 2 * (3 - 1) + 0 + 3 - 6 = 1; without auto_pad its start is total_padding - total_padding / 2 = 1.
assert np.array_equal(found, whole[..., 1:]) and np.array_equal(found, reference(model(pads=[1, 0]), feeds)), "as the equations"
try:
    other = reference(model(output_shape=[6]), feeds)
except ValueError as error:
    print(f"whole {whole.ravel().tolist()}, runtime {found.ravel().tolist()}, reference: {error}")
else:
    raise AssertionError(f"the behaviour changed: {other}")
PYTHON
