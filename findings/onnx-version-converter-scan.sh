#!/usr/bin/env bash
# Scan of opset 8 has a batch axis before the sequence axis, that of 9 has none. onnx 1.23.2's version_converter raises 8 to 9 by dropping the
# empty first input and cutting the leading 1 off the shapes that the graph declares: the model then wants other inputs than before, and as they
# have to be given now, values no longer fit. checker.check_model accepts it. Seen on 2026-11-29, running sums of 3 pairs:
#   8: input x [1, 3, 2], result [1, 3, 2]; 9: x is declared [3, 2], and the old input is refused by ONNX Runtime 1.32.0
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, version_converter

onnxruntime.set_default_logger_severity(4)


def ports(**shapes):
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]


def declared(values):
    return {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}


nodes = [helper.make_node("Add", ["sum", "item"], ["next"]), helper.make_node("Identity", ["next"], ["row"])]
body = helper.make_graph(nodes, "body", ports(sum=[2], item=[2]), ports(next=[2], row=[2]))
scan = helper.make_node("Scan", ["", "start", "x"], ["last", "rows"], num_scan_inputs=1, body=body)
graph = helper.make_graph([scan], "g", ports(start=[1, 2], x=[1, 3, 2]), ports(last=[1, 2], rows=[1, 3, 2]))
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=3)
feeds = {"start": np.zeros((1, 2), np.float32), "x": np.arange(6, dtype=np.float32).reshape(1, 3, 2)}
raised = version_converter.convert_version(model, 9)
checker.check_model(model, full_check=True)
checker.check_model(raised, full_check=True)
before = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
assert np.array_equal(before[1], np.cumsum(feeds["x"], 1)), "running sums"
session = onnxruntime.InferenceSession(raised.SerializeToString(), providers=["CPUExecutionProvider"])
try:
    after = session.run(None, feeds)
except Exception as error:
    after = None
    print(str(error)[:140])
print("8:", declared(model.graph.input), declared(model.graph.output), "9:", declared(raised.graph.input), declared(raised.graph.output))
assert after is None and declared(raised.graph.input)["x"] == [3, 2], "the behaviour changed"
PYTHON
