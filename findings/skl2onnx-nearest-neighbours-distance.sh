#!/usr/bin/env bash
# skl2onnx 1.20.0 converts k nearest neighbours with weights="distance", the classifier and the regressor, to a model that weighs all neighbours
# alike: it takes the largest of the negative distances and 1e-6. scikit-learn 1.9.1's text (KNeighborsRegressor, weights): "'distance' : weight
# points by the inverse of their distance". Seen on 2026-11-29, points 0 and 1 with values 0 and 1, at 0.25:
#   scikit-learn 0.25, ONNX 0.5; the classifier: 0.75 and 0.25, ONNX 0.5 and 0.5; at 0.5 both 0.5
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

onnxruntime.set_default_logger_severity(4)


def run(estimator, x, **options):
    model = to_onnx(estimator, x[:1], options=options or None)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {model.graph.input[0].name: x})


points, values = np.array([[0], [1], [10]], np.float32), np.array([0, 1, 5])
x = np.array([[0.25], [0.5], [0.9]], np.float32)
inverse = 1 / np.abs(x - points[:2].T)
exact = inverse[:, 1] / inverse.sum(1)


def compared(weights):
    regressor = KNeighborsRegressor(2, weights=weights).fit(points, values)
    classifier = KNeighborsClassifier(2, weights=weights).fit(points, values)
    found = [regressor.predict(x), run(regressor, x)[0].ravel(), classifier.predict_proba(x)[:, 1], run(classifier, x, zipmap=False)[1][:, 1]]
    for name, result in zip(("regressor", "as ONNX", "classifier", "as ONNX"), found):
        print(f"{weights}, {name}: {result.round(4).tolist()}")
    return found


assert np.allclose(compared("uniform"), 0.5), "weights alike are right"
regressor, regressor_onnx, classifier, classifier_onnx = compared("distance")
assert np.allclose([regressor, classifier], exact), "scikit-learn does as its text says"
assert np.allclose([regressor_onnx, classifier_onnx], 0.5), "the behaviour changed"
PYTHON
