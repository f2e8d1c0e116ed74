#!/usr/bin/env bash
# MaxUnpool with output_shape. The indices are those of MaxPool, into what was pooled; output_shape says the size to produce. Where it is larger
# than kernel, strides and pads give, ONNX's own backend test and onnx 1.23.2's reference place by the pooled size and add room behind;
# ONNX Runtime 1.32.0 (CPU) counts the indices through the larger output. Seen on 2026-11-29, of index 5 of a 4 x 4 plane in 5 x 5:
#   reference: row 1, column 1, as in the plane; runtime: row 1, column 0. Without output_shape both: row 1, column 1
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
(case,) = [case for case in collect_testcases("MaxUnpool") if case.name == "test_maxunpool_export_with_output_shape"]
inputs, (expected,) = case.data_sets[0]
names = [port.name for port in case.model.graph.input]


def planes(model, feeds):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0][0, 0], ReferenceEvaluator(model).run(None, feeds)[0][0, 0]


feeds = dict(zip(names, inputs))
runtime, reference = planes(case.model, feeds)
print(f"pooled\n{inputs[0][0, 0]}\nindices\n{inputs[1][0, 0]}\nruntime\n{runtime}\nreference and ONNX's test\n{reference}")
ports = [helper.make_tensor_value_info(name, kind, [1, 1, 2, 2]) for name, kind in zip(names, (TensorProto.FLOAT, TensorProto.INT64))]
plane = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 4, 4])
node = helper.make_node("MaxUnpool", names[:2], ["y"], kernel_shape=[2, 2], strides=[2, 2])
graph = helper.make_graph([node], "g", ports, [plane])
plain = planes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), dict(zip(names[:2], inputs)))
assert np.array_equal(*plain), "without output_shape both agree"
assert np.array_equal(reference, expected[0, 0]) and np.array_equal(reference[:4, :4], plain[0]), "the reference is ONNX's test"
assert runtime.ravel()[inputs[1].ravel()].tolist() == inputs[0].ravel().tolist() and runtime[1, 0] == inputs[0].ravel()[0], "the behaviour changed"
PYTHON
