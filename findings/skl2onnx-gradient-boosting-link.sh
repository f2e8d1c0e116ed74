#!/usr/bin/env bash
# skl2onnx 1.20.0 converts HistGradientBoostingRegressor with the losses "poisson" and "gamma" without their link: the model gives the logarithm of
# the prediction. scikit-learn 1.9.1's text (HistGradientBoostingRegressor, loss): "losses internally use a log-link". Seen on 2026-11-29, of data
# that are all about 8:
#   scikit-learn 8.18, ONNX 2.10; loss "squared_error": 8.18 in both
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install protobuf==6.33.6 skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.ensemble import HistGradientBoostingRegressor

onnxruntime.set_default_logger_severity(4)


def run(estimator, x, **options):
    model = to_onnx(estimator, x[:1], options=options or None)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {model.graph.input[0].name: x})


x = np.arange(60, dtype=np.float32).reshape(-1, 1)
y = 8 + (x[:, 0] > 30) * 0.5


def predicted(loss):
    estimator = HistGradientBoostingRegressor(loss=loss, max_iter=3).fit(x, y)
    found = estimator.predict(x), run(estimator, x)[0].ravel()
    print(f"{loss}: scikit-learn {found[0][::30].round(3).tolist()}, ONNX {found[1][::30].round(3).tolist()}")
    return found


expected, found = predicted("squared_error")
assert np.allclose(found, expected, rtol=1e-5), "without a link it is right"
for loss in ("poisson", "gamma"):
    expected, found = predicted(loss)
    assert np.allclose(expected, y, rtol=0.1), "scikit-learn predicts the data"
    assert np.allclose(found, np.log(expected), rtol=1e-4), "the behaviour changed"
PYTHON
