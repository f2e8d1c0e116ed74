#!/usr/bin/env bash
# QuantizeLinear saturates. onnx 1.23.2's reference converts x / scale to int32 before it clips, so that what is 2^31 or more, infinity
# included, becomes the type's least number instead of its greatest. ONNX Runtime 1.32.0 (CPU) saturates. Seen on 2026-11-29 on x86-64,
# to int8, scale 1:
#   1e9: 127 and 127; 3e9: runtime 127, reference -128; inf: 127 and -128; -inf: -128 and -128
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
x = np.array([1e9, 3e9, 1e30, np.inf, -1e9, -3e9, -np.inf], np.float32)


def quantized(kind):
    ports = [helper.make_tensor_value_info(name, t, [len(x)]) for name, t in (("x", TensorProto.FLOAT), ("y", kind))]
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [1.0])
    node = helper.make_node("QuantizeLinear", ["x", "scale"], ["y"], output_dtype=kind)
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], [scale])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": x})[0].tolist(), ReferenceEvaluator(model).run(None, {"x": x})[0].tolist()
    print(f"{TensorProto.DataType.Name(kind)} of {x}: runtime {found[0]}, reference {found[1]}")
    return found


for kind, least, greatest in ((TensorProto.INT8, -128, 127), (TensorProto.UINT8, 0, 255), (TensorProto.INT16, -32768, 32767)):
    runtime, reference = quantized(kind)
    assert runtime == [greatest] * 4 + [least] * 3, "the runtime saturates"
    assert reference == [greatest] + [least] * 6, "the behaviour changed"
PYTHON
