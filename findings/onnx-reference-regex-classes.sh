#!/usr/bin/env bash
# RegexFullMatch has RE2's syntax. onnx 1.23.2's reference hands the pattern to Python's `re`, where the same text may mean something else and
# still compile: no error, another answer. ONNX Runtime 1.32.0 (CPU) uses RE2. Seen on 2026-11-29:
#   [[:alpha:]]+ on "abc": runtime True, reference False; \w+ on "né": False and True; \d+ on Arabic digits: False and True
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

warnings.simplefilter("ignore")
onnxruntime.set_default_logger_severity(4)


def matches(pattern, text):
    ports = [helper.make_tensor_value_info(name, kind, [1]) for name, kind in (("x", TensorProto.STRING), ("y", TensorProto.BOOL))]
    graph = helper.make_graph([helper.make_node("RegexFullMatch", ["x"], ["y"], pattern=pattern)], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"x": np.array([text], object)}
    found = bool(session.run(None, feeds)[0][0]), bool(ReferenceEvaluator(model).run(None, feeds)[0][0])
    print(f"{pattern} on {text!r}: runtime {found[0]}, reference {found[1]}")
    return found


assert matches("[a-z]+", "abc") == (True, True) and matches("a|ab", "ab") == (True, True), "plain patterns are alike"
assert matches("[[:alpha:]]+", "abc") == (True, False), "the behaviour of POSIX classes changed"
assert matches(r"\w+", "né") == (False, True), "the behaviour of \\w, ASCII in RE2, changed"
assert matches(r"\d+", "٣٤") == (False, True), "the behaviour of \\d, ASCII in RE2, changed"
PYTHON
