#!/usr/bin/env bash
# skl2onnx 1.20.0 converts SGDClassifier(loss="modified_huber") of three classes to a model whose labels are the first of the largest probabilities.
# These are clipped at 1, so that two classes may be alike there, and the label is another than scikit-learn 1.9.1's, which takes the largest
# decision: its text (SGDClassifier, predict): "Predict class labels for samples". The probabilities agree. Seen on 2026-11-29:
#   decisions 2, 5, -9: probabilities 0.5, 0.5, 0; scikit-learn says class 1, ONNX 0; loss "log_loss": both say 1
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.linear_model import SGDClassifier

onnxruntime.set_default_logger_severity(4)


def run(estimator, x, **options):
    model = to_onnx(estimator, x[:1], options=options or None)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {model.graph.input[0].name: x})


random = np.random.default_rng(1)
centres = np.array([[0, 0], [4, 0], [0, 4]])
classes = np.repeat([0, 1, 2], 50)
x = (centres[classes] + random.normal(0, 0.5, (150, 2))).astype(np.float32)
between = np.array([[2, 0]], np.float32)


def predicted(loss):
    estimator = SGDClassifier(loss=loss, random_state=0).fit(x, classes)
    estimator.coef_, estimator.intercept_ = np.zeros((3, 2)), np.array([2.0, 5.0, -9.0])
    labels, probabilities = run(estimator, between, zipmap=False)
    expected = estimator.predict(between).tolist(), estimator.predict_proba(between)
    print(f"{loss}: decisions {estimator.decision_function(between)[0]}, scikit-learn {expected}, ONNX {labels.tolist()}, {probabilities}")
    assert np.allclose(probabilities, expected[1], atol=1e-5), "the probabilities agree"
    assert expected[0] == [1], "the largest decision is class 1's"
    return labels.tolist()


assert predicted("log_loss") == [1], "without clipping it is right"
assert predicted("modified_huber") == [0], "the behaviour changed"
PYTHON
