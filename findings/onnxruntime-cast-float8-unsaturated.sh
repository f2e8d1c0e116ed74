#!/usr/bin/env bash
# Cast to 8-bit floats with saturate=0. By ONNX's table what rounds beyond the largest number becomes NaN as E4M3FN, and infinite as E5M2.
# ONNX Runtime 1.32.0 (CPU) makes 448, the largest of E4M3FN, of everything from 480 to below 496, though NaN of what is a little less or more,
# and NaN of what E5M2 rounds to its infinity, 65536, from below. QuantizeLinear does the same. onnx 1.23.2's reference and ml_dtypes 0.6.0 follow
# the table. Seen on 2026-11-29:
#   E4M3FN: 464 -> 448, 465 to 479 -> NaN, 480 to 495 -> 448, 496 -> NaN; E5M2: 61440 to 65535 -> NaN, 65600 -> inf
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import ml_dtypes
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
np.seterr(all="ignore")


def cast(to, values):
    x = np.array(values, np.float32)
    nodes = [helper.make_node("Cast", ["x"], ["narrow"], to=to, saturate=0), helper.make_node("Cast", ["narrow"], ["y"], to=TensorProto.FLOAT)]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    runtime, reference = session.run(None, {"x": x})[0], ReferenceEvaluator(model).run(None, {"x": x})[0]
    narrow = {TensorProto.FLOAT8E4M3FN: ml_dtypes.float8_e4m3fn, TensorProto.FLOAT8E5M2: ml_dtypes.float8_e5m2}[to]
    print(f"{TensorProto.DataType.Name(to)}\n  of        {x}\n  runtime   {runtime}\n  reference {reference}")
    assert np.array_equal(reference, x.astype(narrow).astype(np.float32), equal_nan=True), "the reference and ml_dtypes agree"
    return runtime.astype(str).tolist(), reference.astype(str).tolist()


runtime, reference = cast(TensorProto.FLOAT8E4M3FN, [448, 464, 465, 479, 480, 495, 496, 1000, -480, np.inf])
assert reference == ["448.0", "448.0"] + ["nan"] * 8, "the reference follows the table"
assert runtime == reference[:4] + ["448.0", "448.0", "nan", "nan", "-448.0", "nan"], "the behaviour changed"
runtime, reference = cast(TensorProto.FLOAT8E5M2, [57344, 61439, 61441, 65535, 65600, -61441, np.inf])
assert reference == ["57344.0"] * 2 + ["inf"] * 3 + ["-inf", "inf"], "the reference follows the table"
assert runtime == ["57344.0"] * 2 + ["nan", "nan", "inf", "nan", "inf"], "the behaviour of E5M2 changed"
PYTHON
