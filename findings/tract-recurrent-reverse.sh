#!/usr/bin/env bash
# RNN, GRU and LSTM with direction `reverse`: tract 0.23.9 runs forward. ONNX's text (LSTM-14, direction): "Specify if the RNN is forward, reverse, or
# bidirectional"; the backward half of `bidirectional` tract computes rightly. ONNX Runtime 1.32.0 and onnx 1.23.2's reference run backward. Seen on
# 2026-11-29, an RNN that adds up 0.1, 0.2, 0.4 under tanh:
#   the last state: tract 0.599, as with `forward`; runtime and reference 0.553
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install tract==0.23.9 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import tempfile

import numpy as np
import onnxruntime
import tract
from onnx import checker, parser
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def results(text, feeds, opset=21, index=0):
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>' + text)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model.SerializeToString())
        file.flush()
        runnable = tract.onnx().load(file.name).into_model().into_runnable()
    found = runnable.run([feeds[port.name] for port in model.graph.input])[index].to_numpy()
    return found, session.run(None, feeds)[index], ReferenceEvaluator(model).run(None, feeds)[index]


x = np.array([0.1, 0.2, 0.4], np.float32).reshape(3, 1, 1)


def last(direction, index=1):
    count = 2 if direction == "bidirectional" else 1
    ones = ",".join(["1"] * count)
    weights = f"<float[{count},1,1] w = {{{ones}}}, float[{count},1,1] r = {{{ones}}}>"
    text = f"""g (float[3,1,1] x) => (float[3,{count},1,1] y, float[{count},1,1] last) {weights} {{
        y, last = RNN <hidden_size=1, direction="{direction}"> (x, w, r)
    }}"""
    found = [result.ravel().tolist() for result in results(text, {"x": x}, index=index)]
    print(f"{direction}: tract {found[0]}, runtime {found[1]}, reference {found[2]}")
    return found


def states(numbers):
    state = 0.0
    for number in numbers:
        state = np.tanh(number + state)
    return state


forward, backward = states([0.1, 0.2, 0.4]), states([0.4, 0.2, 0.1])
assert np.allclose(last("forward"), forward, atol=1e-5), "forward is right"
assert np.allclose(last("bidirectional"), [forward, backward], atol=1e-5), "both directions are right"
found, *others = last("reverse")
assert np.allclose(others, backward, atol=1e-5), "the runtime and the reference run backward"
assert np.allclose(found, forward, atol=1e-5) and abs(forward - backward) > 0.04, "the behaviour changed"
PYTHON
