#!/usr/bin/env bash
# StringSplit without a delimiter splits at "consecutive whitespace characters". ONNX Runtime 1.32.0 (CPU) takes blanks alone for whitespace:
# tabs and line ends stay inside the pieces. With a delimiter, the empty string has no piece there and one, itself, in onnx 1.23.2's reference,
# as in Python and by "the number of substrings". Seen on 2026-11-29:
#   "a\tb\nc  d": runtime "a\tb\nc", "d"; reference a, b, c, d; "" at commas: runtime 0 pieces, reference 1
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


def split(text, **attributes):
    ports = [
        helper.make_tensor_value_info("x", TensorProto.STRING, [1]),
        helper.make_tensor_value_info("y", TensorProto.STRING, [1, None]),
        helper.make_tensor_value_info("count", TensorProto.INT64, [1]),
    ]
    graph = helper.make_graph([helper.make_node("StringSplit", ["x"], ["y", "count"], **attributes)], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"x": np.array([text], object)}
    found = [(y[0].tolist(), int(count[0])) for y, count in (session.run(None, feeds), ReferenceEvaluator(model).run(None, feeds))]
    print(f"{text!r} {attributes}: runtime {found[0]}, reference {found[1]}")
    return found


assert split(" a  b ") == [(["a", "b"], 2)] * 2, "blanks are whitespace to both"
assert split("a,,b", delimiter=",") == [(["a", "", "b"], 3)] * 2, "delimiters are alike"
runtime, reference = split("a\tb\nc  d")
assert reference == ("a\tb\nc  d".split(), 4) and runtime == (["a\tb\nc", "d"], 2), "the behaviour changed"
runtime, reference = split("", delimiter=",")
assert reference[1] == len("".split(",")) == 1 and runtime[1] == 0, "the behaviour of the empty string changed"
PYTHON
