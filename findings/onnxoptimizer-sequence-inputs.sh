#!/usr/bin/env bash
# onnxoptimizer 0.4.2, whatever the passes, loses the types of inputs that are no tensors: a sequence comes back without a type, and the model,
# valid before, is refused by onnx's checker and ONNX Runtime 1.32.0. There is no error from the optimiser. Seen on 2026-11-29:
#   checker: Field 'type' of 'value_info' is required but missing; ONNX Runtime: Model input (s) does not have type information
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxoptimizer==0.4.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxoptimizer
import onnxruntime
from onnx import TensorProto, checker, helper

onnxruntime.set_default_logger_severity(4)
ports = [
    helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [2]),
    helper.make_tensor_value_info("i", TensorProto.INT64, []),
    helper.make_tensor_value_info("y", TensorProto.FLOAT, [2]),
]
graph = helper.make_graph([helper.make_node("SequenceAt", ["s", "i"], ["y"])], "g", ports[:2], ports[2:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
feeds = {"s": [np.zeros(2, np.float32), np.ones(2, np.float32)], "i": np.array(1, np.int64)}
assert session.run(None, feeds)[0].tolist() == [1, 1], "the model works"
optimised = onnxoptimizer.optimize(model, ["eliminate_identity"])
assert optimised.graph.input[1].type.HasField("tensor_type"), "tensors keep their types"
print("type of the sequence after:", optimised.graph.input[0].type.WhichOneof("value"))
assert optimised.graph.input[0].type.WhichOneof("value") is None, "the behaviour changed"
for check in (checker.check_model, lambda m: onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])):
    try:
        check(optimised)
    except Exception as error:
        print(str(error).splitlines()[0])
    else:
        raise SystemExit("the model is accepted")
PYTHON
