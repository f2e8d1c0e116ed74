#!/usr/bin/env bash
# onnx 1.23.2's inliner, with inline_schema_functions, replaces operators that ONNX defines as functions by their bodies, but gives the bodies no
# attribute that the node leaves to its default. MeanVarianceNormalization without `axes` then normalises over all axes instead of 0, 2 and 3: a
# valid model, another result. HannWindow without `output_datatype` becomes a Cast without `to`, which the checker refuses. With the defaults
# written out both are right. Seen on 2026-11-29 in ONNX Runtime 1.32.0 (CPU):
#   MeanVarianceNormalization: largest difference 1.5, axes written out: 1e-07
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, inliner

onnxruntime.set_default_logger_severity(4)


def made(op, x_type, shape, y_shape, **attributes):
    ports = [helper.make_tensor_value_info("x", x_type, shape), helper.make_tensor_value_info("y", TensorProto.FLOAT, y_shape)]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], **attributes)], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model, inliner.inline_selected_functions(model, [], exclude=True, inline_schema_functions=True)


def difference(x, **attributes):
    results = []
    for model in made("MeanVarianceNormalization", TensorProto.FLOAT, x.shape, x.shape, **attributes):
        checker.check_model(model)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        results.append(session.run(None, {"x": x})[0])
    wide = x.astype(np.float64)
    expected = (wide - wide.mean((0, 2, 3), keepdims=True)) / wide.std((0, 2, 3), keepdims=True)
    assert np.allclose(results[0], expected, atol=1e-4), "the operator is right"
    print(f"MeanVarianceNormalization {attributes}: largest difference after inlining {np.abs(results[1] - results[0]).max():.1e}")
    return np.abs(results[1] - results[0]).max()


x = np.random.default_rng(1).standard_normal((2, 3, 4, 5)).astype(np.float32) + np.arange(3, dtype=np.float32)[:, None, None]
assert difference(x, axes=[0, 2, 3]) < 1e-4, "attributes that are there are passed"
assert difference(x) > 0.5, "the behaviour changed"
checker.check_model(made("HannWindow", TensorProto.INT64, [], [None], output_datatype=TensorProto.FLOAT, periodic=1)[1])
try:
    checker.check_model(made("HannWindow", TensorProto.INT64, [], [None], periodic=1)[1])
    raise SystemExit("the behaviour of HannWindow changed")
except checker.ValidationError as error:
    print("HannWindow:", str(error).splitlines()[0])
    assert "attribute 'to' is missing" in str(error), "another error"
PYTHON
