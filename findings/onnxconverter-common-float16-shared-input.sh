#!/usr/bin/env bash
# onnxconverter-common 1.16.0, convert_float_to_float16 with keep_io_types: an input that two nodes without names read (names of nodes are
# optional) gets two Casts of the same name with the same output. The model is no longer in SSA form; onnx's checker and ONNX Runtime 1.32.0
# refuse it, the converter says nothing. With names on the nodes, or with one reader, it is right. Seen on 2026-11-29:
#   unnamed: 'x_cast_to_' has been used as output names multiple times
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxconverter-common==1.16.0 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper
from onnxconverter_common import float16

onnxruntime.set_default_logger_severity(4)
x = np.linspace(-2, 2, 8).astype(np.float32)


def outcome(*names):
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"], name=names[0]),
        helper.make_node("Abs", ["x"], ["absolute"], name=names[1]),
        helper.make_node("Add", ["positive", "absolute"], ["y"], name=names[2]),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:]), opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    checker.check_model(model, full_check=True)
    converted = float16.convert_float_to_float16(model, keep_io_types=True)
    print(f"names {names}: casts {[node.output[0] for node in converted.graph.node if node.op_type == 'Cast']}")
    try:
        checker.check_model(converted)
        session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:
        print("  ", str(error).splitlines()[0][:140])
        return "refused"
    assert np.allclose(session.run(None, {"x": x})[0], np.maximum(x, 0) + np.abs(x), atol=1e-2), "f16's accuracy"
    return "right"


assert outcome("relu", "abs", "add") == "right", "named nodes are right"
assert outcome("", "", "") == "refused", "the behaviour changed"
PYTHON
