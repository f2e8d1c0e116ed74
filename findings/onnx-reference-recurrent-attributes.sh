#!/usr/bin/env bash
# onnx 1.23.2's reference evaluator computes LSTM, GRU and RNN without `sequence_lens` and `clip`, and LSTM and GRU always with sigmoid and
# tanh, whatever `activations` says; there is no error. ONNX Runtime 1.32.0 (CPU) does what the operators' text says. A step of an LSTM in f64
# decides. Seen on 2026-11-29, last hidden state of an LSTM, relative L2 from f64:
#   plain: runtime 2.6e-07, reference 4.0e-07; clip: 7.0e-08 and 2.0; activations: 7.2e-08 and 0.57; sequence_lens: 8.2e-08 and 0.59
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
hidden, steps, batch, width = 3, 4, 2, 2
draw = np.random.default_rng(7).standard_normal
x = draw((steps, batch, width)).astype(np.float32)
w, r, b = (2 * draw(shape).astype(np.float32) for shape in ((1, 4 * hidden, width), (1, 4 * hidden, hidden), (1, 8 * hidden)))
lengths = np.array([2, 4], np.int32)


def operator_results(lens, **attributes):
    feeds = {"x": x, "w": w, "r": r, "b": b} | ({"lens": lengths} if lens else {})
    types = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}
    ports = [helper.make_tensor_value_info(name, types[value.dtype], value.shape) for name, value in feeds.items()]
    last = helper.make_tensor_value_info("last", TensorProto.FLOAT, [1, batch, hidden])
    node = helper.make_node("LSTM", list(feeds), ["", "last"], hidden_size=hidden, **attributes)
    model = helper.make_model(helper.make_graph([node], "g", ports, [last]), opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    reference = ReferenceEvaluator(model).run(None, feeds)
    return session.run(None, feeds)[0][0], reference[0][0]


def exact(lens, clip=np.inf, f=lambda v: 1 / (1 + np.exp(-v)), g=np.tanh, h=np.tanh):
    state, cell = np.zeros((batch, hidden)), np.zeros((batch, hidden))
    for step in range(steps):
        gates = x[step].astype(float) @ w[0].T.astype(float) + state @ r[0].T.astype(float) + b[0].reshape(2, -1).astype(float).sum(0)
        i, o, forget, c = np.split(np.clip(gates, -clip, clip), 4, 1)
        new_cell = f(forget) * cell + f(i) * g(c)
        new_state = f(o) * h(new_cell)
        running = (step < (lengths if lens else np.full(batch, steps)))[:, None]
        state, cell = np.where(running, new_state, state), np.where(running, new_cell, cell)
    return state


def errors(name, expected, lens=False, **attributes):
    found = operator_results(lens, **attributes)
    result = [float(np.linalg.norm(value - expected) / np.linalg.norm(expected)) for value in found]
    print(f"{name}: runtime {result[0]:.1e}, reference {result[1]:.1e}")
    return result


assert max(errors("plain", exact(False))) < 1e-3, "a plain LSTM is right in both"
other = {"f": lambda v: np.clip(0.2 * v + 0.5, 0, 1), "g": lambda v: v / (1 + np.abs(v)), "h": lambda v: v / (1 + np.abs(v))}
seen = [
    errors("clip", exact(False, clip=0.3), clip=0.3),
    errors("activations", exact(False, **other), activations=["HardSigmoid", "Softsign", "Softsign"]),
    errors("sequence_lens", exact(True), lens=True),
]
assert all(runtime < 5e-3 for runtime, _ in seen), "the runtime follows the text"
assert all(reference > 0.05 for _, reference in seen), "the behaviour changed"
PYTHON
