#!/usr/bin/env bash
# Pow of int64: ONNX Runtime 1.32.0 (CPU) computes it in f64, so that digits are lost from 2^53 on, where the power is an int64. ONNX's text (Pow-15)
# is f(x) = x^exponent of int64 tensors; its Mul is exact, and onnx 1.23.2's reference and Python's integers give the power. Seen on 2026-11-29:
#   3^35: runtime 50031545098999704, by Mul, in the reference and exactly 50031545098999707
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



def power(base, exponent):
    by_mul = " ".join(f"p{i + 1} = Mul (p{i}, x)" for i in range(exponent - 1))
    text = f"""g (int64[1] x, int64[1] e) => (int64[1] y) {{
        {{}}
    }}"""
    feeds = {"x": np.array([base]), "e": np.array([exponent])}
    runtime, reference = results(text.replace("{}", "y = Pow (x, e)"), feeds)
    product, _ = results(text.replace("{}", f"p0 = Identity (x) {by_mul} y = Identity (p{exponent - 1})"), feeds)
    found = int(runtime[0]), int(reference[0]), int(product[0])
    print(f"{base}^{exponent}: runtime {found[0]}, reference {found[1]}, by Mul {found[2]}, exactly {base**exponent}")
    return found


assert power(3, 30) == (3**30,) * 3, "small powers are exact"
for base, exponent in ((3, 35), (7, 21)):
    runtime, *others = power(base, exponent)
    assert base**exponent < 2**63 and others == [base**exponent] * 2, "the reference and Mul are exact"
    assert runtime != base**exponent and abs(runtime / base**exponent - 1) < 1e-15, "the behaviour changed"
PYTHON
