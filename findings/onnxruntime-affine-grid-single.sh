#!/usr/bin/env bash
# AffineGrid with align_corners of an output one element high. ONNX has places "evenly spaced, ranging from -1 to 1", which says nothing of a
# single one. PyTorch's affine_grid, which ONNX names as the model, puts it in the middle, at 0, since version 1.3. ONNX Runtime 1.32.0 (CPU)
# puts it at +1, onnx 1.23.2's reference at -1: opposite borders. Without align_corners all have 0. Seen on 2026-11-29, y of the identity:
#   align_corners 0: runtime 0, reference 0; align_corners 1: runtime 1, reference -1
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
np.seterr(all="ignore")
feeds = {"theta": np.array([[[1, 0, 0], [0, 1, 0]]], np.float32), "size": np.array([1, 1, 1, 3], np.int64)}


def heights(align_corners):
    ports = [
        helper.make_tensor_value_info("theta", TensorProto.FLOAT, [1, 2, 3]),
        helper.make_tensor_value_info("size", TensorProto.INT64, [4]),
    ]
    grid = helper.make_tensor_value_info("grid", TensorProto.FLOAT, [1, 1, 3, 2])
    node = helper.make_node("AffineGrid", ["theta", "size"], ["grid"], align_corners=align_corners)
    model = helper.make_model(helper.make_graph([node], "g", ports, [grid]), opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    runtime, reference = session.run(None, feeds)[0], ReferenceEvaluator(model).run(None, feeds)[0]
    assert np.allclose(runtime[..., 0], reference[..., 0]), "x, of three elements, is the same"
    print(f"align_corners {align_corners}: runtime {runtime[0, 0, :, 1]}, reference {reference[0, 0, :, 1]}")
    return runtime[0, 0, :, 1].tolist(), reference[0, 0, :, 1].tolist()


assert heights(0) == ([0, 0, 0], [0, 0, 0]), "without align_corners a single element lies in the middle"
assert heights(1) == ([1, 1, 1], [-1, -1, -1]), "the behaviour changed"
PYTHON
