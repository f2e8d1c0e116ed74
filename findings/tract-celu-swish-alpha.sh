#!/usr/bin/env bash
# tract 0.23.9 divides Celu's negative branch by `alpha` and leaves out Swish's `alpha`. ONNX's texts: Celu-12 is max(0, x) + min(0, alpha * (exp(x /
# alpha) - 1)), Swish-24 x * sigmoid(alpha * x). ONNX Runtime 1.32.0 and onnx 1.23.2's reference compute these. With alpha = 1 tract is right, and so
# is its Elu with 2. Seen on 2026-11-29, of -1 with alpha = 2:
#   Celu: tract -0.393, else -0.787; Swish: tract -0.269, else -0.119
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



def computed(op, alpha):
    text = f"""g (float[2] x) => (float[2] y) {{
        y = {op} <alpha={alpha}> (x)
    }}"""
    found = [result.tolist() for result in results(text, {"x": np.array([-1, 1], np.float32)}, opset=24)]
    print(f"{op}, alpha {alpha}: tract {found[0]}, runtime {found[1]}, reference {found[2]}")
    return found


def celu(x, alpha):
    return max(0, x) + min(0, alpha * (np.exp(x / alpha) - 1))


def swish(x, alpha):
    return x / (1 + np.exp(-alpha * x))


for op, formula in (("Celu", celu), ("Swish", swish)):
    assert np.allclose(computed(op, 1.0), [formula(-1, 1), formula(1, 1)], atol=1e-5), "all are right at 1"
    found, *others = computed(op, 2.0)
    assert np.allclose(others, [formula(-1, 2), formula(1, 2)], atol=1e-5), "the runtime and the reference do as the text says"
    wrong = [formula(-1, 2) / 2, 1] if op == "Celu" else [formula(-1, 1), formula(1, 1)]
    assert np.allclose(found, wrong, atol=1e-5), "the behaviour changed"
assert np.allclose(computed("Elu", 2.0)[0], [2 * (np.exp(-1) - 1), 1], atol=1e-5), "Elu is right"
PYTHON
