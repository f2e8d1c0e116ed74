#!/usr/bin/env bash
# NonZero of a scalar: ONNX's text has an output of shape (0, N), "which is different from Numpy's behavior". ONNX Runtime 1.32.0 (CPU) gives
# (1, N), as for a vector of one element; onnx 1.23.2's reference and shape inference have (0, N). Seen on 2026-11-29:
#   of 3: runtime (1, 1), reference (0, 1); of 0: runtime (1, 0), reference (0, 0)
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


for value in (3, 0):
    feeds = {"x": np.array(value, np.float32)}
    model = model_of(helper.make_node("NonZero", ["x"], ["y"]), 13, feeds, np.int64, 2)
    model.graph.output[0].type.tensor_type.shape.dim[0].ClearField("dim_param")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.output[0].type.tensor_type.shape.dim[0]
    found, other = runtime(model, feeds), reference(model, feeds)
    print(f"of {value}: runtime {found.shape}, reference {other.shape}, inferred rank of the input {inferred.dim_value}")
    assert other.shape == (0, value // 3), "the reference is by the text"
    assert found.shape == (1, value // 3), "the behaviour changed"
PYTHON
