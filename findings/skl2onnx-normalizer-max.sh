#!/usr/bin/env bash
# scikit-learn 1.9.1's Normalizer("max") divides each row by the largest absolute value. skl2onnx 1.20.0 converts it to ONNX's Normalizer MAX,
# which is X / max(X) and in ONNX Runtime 1.32.0 (CPU) the same: rows with negative elements come out otherwise, or undivided. Norms l1
# and l2 agree. Onnx 1.23.2's reference divides by the largest absolute value, against ONNX's text. Seen on 2026-11-29:
#   (-3, 1, 2): scikit-learn (-1, 0.333, 0.667), converted (-1.5, 0.5, 1); (-1, -2, 0): (-0.5, -1, 0) and (-1, -2, 0)
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install scikit-learn==1.9.1 skl2onnx==1.20.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx.reference import ReferenceEvaluator
from skl2onnx import to_onnx
from sklearn.preprocessing import Normalizer

onnxruntime.set_default_logger_severity(4)
rows = np.array([[-3, 1, 2], [-1, -2, 0], [1, 2, 4]], np.float32)


def both(norm):
    transformer = Normalizer(norm).fit(rows)
    model = to_onnx(transformer, rows)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return transformer.transform(rows), session.run(None, {"X": rows})[0], ReferenceEvaluator(model).run(None, {"X": rows})[0]


for norm in ("l1", "l2"):
    expected, found, _ = both(norm)
    assert np.allclose(expected, found), "other norms agree"
expected, found, reference = both("max")
print(f"scikit-learn\n{expected}\nconverted, ONNX Runtime\n{found}\nconverted, reference\n{reference}")
divisors = rows.max(axis=1, keepdims=True)
assert np.allclose(found, rows / np.where(divisors == 0, 1, divisors)), "the runtime is by ONNX's formula"
assert np.allclose(expected, rows / np.abs(rows).max(axis=1, keepdims=True)), "scikit-learn is by absolute values"
assert np.allclose(reference, expected) and not np.allclose(found[:2], expected[:2]), "the behaviour changed"
PYTHON
