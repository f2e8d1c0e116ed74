#!/usr/bin/env bash
# skl2onnx 1.20.0 converts SimpleImputer with add_indicator=True to a model without the indicator's columns, without an error. scikit-learn 1.9.1's
# text (SimpleImputer, add_indicator): "a MissingIndicator transform will stack onto output of the imputer's transform". Seen on 2026-11-29, two
# columns with one missing number each:
#   scikit-learn 4 columns, ONNX 2
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.impute import SimpleImputer

onnxruntime.set_default_logger_severity(4)


def run(estimator, x, **options):
    model = to_onnx(estimator, x[:1], options=options or None)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {model.graph.input[0].name: x})


x = np.array([[1, 2], [np.nan, 4], [3, np.nan]], np.float32)


def imputed(indicator):
    estimator = SimpleImputer(add_indicator=indicator).fit(x)
    found = estimator.transform(x), run(estimator, x)[0]
    print(f"add_indicator {indicator}: scikit-learn {found[0].tolist()}, ONNX {found[1].tolist()}")
    return found


expected, found = imputed(False)
assert np.array_equal(expected, found), "without the indicator it is right"
expected, found = imputed(True)
assert np.array_equal(expected[:, 2:], np.isnan(x)), "scikit-learn does as its text says"
assert np.array_equal(found, expected[:, :2]), "the behaviour changed"
PYTHON
