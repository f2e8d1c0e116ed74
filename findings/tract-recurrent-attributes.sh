#!/usr/bin/env bash
# RNN, GRU and LSTM: tract 0.23.9 leaves out `clip`, `input_forget` and `activations` without an error, so that it computes another network. ONNX's
# texts (RNN-14, LSTM-14, attributes) define them; ONNX Runtime 1.32.0 does as they say, as f64 does by the text's equations. Seen on 2026-11-29, an
# RNN with weights 1 of the numbers 2 and 2:
#   activations Relu: tract 0.964, 0.995, runtime 2, 4; clip 0.5: tract 0.964, 0.995, runtime 0.462, 0.462
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
    return found, session.run(None, feeds)[index]


x = np.array([2, 2], np.float32).reshape(2, 1, 1)


def states(op, attributes, gates):
    ones = ",".join(["1"] * gates)
    ports = f"<float[1,{gates},1] w = {{{ones}}}, float[1,{gates},1] r = {{{ones}}}>"
    text = f"""g (float[2,1,1] x) => (float[2,1,1,1] y) {ports} {{
        y = {op} <hidden_size=1{attributes}> (x, w, r)
    }}"""
    found, runtime = (result.ravel() for result in results(text, {"x": x}))
    print(f"{op}{attributes}: tract {found}, runtime {runtime}")
    return found, runtime


def by_text(function, limit=np.inf):
    first = function(min(2, limit))
    return [first, function(min(2 + first, limit))]


plain = by_text(np.tanh)
assert np.allclose(states("RNN", "", 1), plain, atol=1e-5), "without the attributes both are right"
for attributes, expected in ((', activations=["Relu"]', by_text(lambda number: max(number, 0))), (", clip=0.5", by_text(np.tanh, 0.5))):
    found, runtime = states("RNN", attributes, 1)
    assert np.allclose(runtime, expected, atol=1e-5), "the runtime does as the text says"
    assert np.allclose(found, plain, atol=1e-5), "the behaviour changed"
plain, runtime = states("LSTM", "", 4)
assert np.allclose(plain, runtime, atol=1e-5), "without the attributes both are right"
found, runtime = states("LSTM", ", input_forget=1", 4)
assert np.array_equal(found, plain) and np.abs(runtime - plain).max() > 0.01, "the behaviour of input_forget changed"
PYTHON
