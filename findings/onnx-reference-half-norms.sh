#!/usr/bin/env bash
# LayerNormalization and RMSNormalization of float16: stash_type, 1 unless given, "specifies stage one's computation precision", which is float32.
# Onnx 1.23.2's reference squares in float16: of elements above 256 the squares are infinite and the results zeros. ONNX Runtime
# 1.32.0 (CPU) is within 1e-3 of f64. Seen on 2026-11-29, of (600, -600, 300, 0):
#   layer norm: runtime 1.183, -1.521, 0.507, -0.169; RMS norm: 1.333, -1.333, 0.667, 0; reference: zeros for both
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


np.seterr(over="ignore")
feeds = {"x": np.array([[600, -600, 300, 0]], np.float16), "scale": np.ones(4, np.float16)}
exact = feeds["x"].astype(np.float64)
for operator, opset, mean in (("LayerNormalization", 17, exact.mean()), ("RMSNormalization", 23, 0)):
    model = model_of(helper.make_node(operator, list(feeds), ["y"]), opset, feeds, np.float16, 2)
    expected = (exact - mean) / np.sqrt(((exact - mean) ** 2).mean() + 1e-5)
    found, other = runtime(model, feeds), reference(model, feeds)
    print(f"{operator}: runtime {found.tolist()}, reference {other.tolist()}, in f64 {expected.round(3).tolist()}")
    small = feeds | {"x": feeds["x"] / np.float16(100)}
    assert np.allclose(runtime(model, small), reference(model, small), atol=2e-3), "of small elements both agree"
    assert np.allclose(found, expected, atol=1e-3), "the runtime is right"
    assert not other.any(), "the behaviour changed"
PYTHON
