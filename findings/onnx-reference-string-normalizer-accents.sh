#!/usr/bin/env bash
# StringNormalizer removes stop words and changes case, or nothing with case_change_action NONE, its default. onnx 1.23.2's reference also
# takes accents off every string. A word that differs from a stop word by an accent goes through ONNX Runtime 1.32.0 (CPU) unchanged. Seen on
# 2026-11-29, stop word "the":
#   the, café, Ångström: runtime café, Ångström; reference cafe, Angstrom
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
ports = [helper.make_tensor_value_info(name, TensorProto.STRING, [None]) for name in "xy"]
node = helper.make_node("StringNormalizer", ["x"], ["y"], is_case_sensitive=1, stopwords=["the"])
model = helper.make_model(helper.make_graph([node], "g", ports[:1], ports[1:]), opset_imports=[helper.make_opsetid("", 10)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def normalised(*words):
    feeds = {"x": np.array(words, object)}
    found = [result[0].tolist() for result in (session.run(None, feeds), ReferenceEvaluator(model).run(None, feeds))]
    print(f"{words}: runtime {found[0]}, reference {found[1]}")
    return found


assert normalised("the", "cafe", "Angstrom") == [["cafe", "Angstrom"]] * 2, "plain letters are alike"
runtime, reference = normalised("the", "café", "Ångström")
assert runtime == ["café", "Ångström"], "the runtime changes nothing"
assert reference == ["cafe", "Angstrom"], "the behaviour changed"
PYTHON
