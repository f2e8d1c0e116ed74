#!/usr/bin/env bash
# Einsum without an output term, with upper-case letters that would be in it: ONNX Runtime 1.32.0 (CPU) raises an error that allows what it refuses.
# ONNX's text (Einsum-12): "output indices are (implicitly) set to the sequence of indices appearing exactly once in the equation, sorted in
# increasing order of their ASCII values (so that all upper case letters precede all lower case letters". Onnx 1.23.2's reference does so. Seen on
# 2026-11-29:
#   aB: runtime "The only subscript labels allowed are lower-cased letters (a-z) and upper-cased letters (A-Z)"; ba and aB->Ba run
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import checker, parser
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def results(text, feeds, opset=21):
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>' + text)
    checker.check_model(model, full_check=True)
    reference = ReferenceEvaluator(model).run(None, feeds)[0]
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0], reference
    except Exception as error:
        return str(error), reference


feeds = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}


def computed(equation, shape):
    text = f"""g (float[2,3] x) => (float[{shape}] y) {{
        y = Einsum <equation="{equation}"> (x)
    }}"""
    runtime, reference = results(text, feeds)
    print(f"{equation}: runtime {runtime[-117:] if isinstance(runtime, str) else runtime.tolist()}, reference {reference.tolist()}")
    return runtime, reference


for equation in ("ba", "aB->Ba"):
    assert all(np.array_equal(result, feeds["x"].T) for result in computed(equation, "3,2")), "these run"
for equation in ("aB", "BA", "AB"):
    runtime, reference = computed(equation, "a,b")
    assert np.array_equal(reference, feeds["x"] if equation == "AB" else feeds["x"].T), "the reference does as the text says"
    assert isinstance(runtime, str) and "subscript labels" in runtime, "the behaviour changed"
PYTHON
