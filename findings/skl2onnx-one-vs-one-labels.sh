#!/usr/bin/env bash
# skl2onnx 1.20.0 converts OneVsOneClassifier to a model that gives the places of the labels instead of the labels, without an error: of the classes
# 5, 15, 25 it says 0, 1, 2. scikit-learn 1.9.1 predicts labels, as does the model of OneVsRestClassifier. Seen on 2026-11-29:
#   scikit-learn 5, 15, 25; ONNX 0, 1, 2
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier

onnxruntime.set_default_logger_severity(4)


def run(estimator, x, **options):
    model = to_onnx(estimator, x[:1], options=options or None)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {model.graph.input[0].name: x})


x = np.array([[0, 0], [0, 1], [5, 0], [5, 1], [0, 9], [1, 9]], np.float32)
labels = np.array([5, 5, 15, 15, 25, 25])


def predicted(kind):
    estimator = kind(LogisticRegression()).fit(x, labels)
    found = estimator.predict(x).tolist(), run(estimator, x, zipmap=False)[0].ravel().tolist()
    print(f"{kind.__name__}: scikit-learn {found[0]}, ONNX {found[1]}")
    assert found[0] == labels.tolist(), "scikit-learn tells the classes apart"
    return found[1]


assert predicted(OneVsRestClassifier) == labels.tolist(), "one against the rest is right"
assert predicted(OneVsOneClassifier) == [0, 0, 1, 1, 2, 2], "the behaviour changed"
PYTHON
