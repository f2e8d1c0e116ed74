#!/usr/bin/env bash
# skl2onnx 1.20.0 converts LinearDiscriminantAnalysis of two classes to a model with the logistic function of twice the decision, so that
# probabilities are too far from 0.5; the labels are right, and three classes are. scikit-learn 1.9.1 (predict_proba) has the logistic function of the
# decision, which is the posterior that Bayes' rule gives from the means, the covariance and the priors. Seen on 2026-11-29:
#   at a decision of -1: scikit-learn and Bayes 0.269, ONNX 0.119
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

onnxruntime.set_default_logger_severity(4)


def run(estimator, x, **options):
    model = to_onnx(estimator, x[:1], options=options or None)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {model.graph.input[0].name: x})


random = np.random.default_rng(1)
x = np.concatenate([random.normal(centre, 1, (200, 2)) for centre in (0, 1, 2)]).astype(np.float32)
classes = np.repeat([0, 1, 2], 200)


def posterior(estimator, points):
    logarithms = []
    for mean, prior in zip(estimator.means_, estimator.priors_):
        away = points - mean
        logarithms.append(np.log(prior) - 0.5 * (away @ np.linalg.inv(estimator.covariance_) * away).sum(1))
    weights = np.exp(np.stack(logarithms, 1))
    return weights / weights.sum(1, keepdims=True)


def probabilities(count):
    kept = classes < count
    estimator = LinearDiscriminantAnalysis(solver="lsqr", store_covariance=True).fit(x[kept], classes[kept])
    labels, found = run(estimator, x[kept], zipmap=False)
    expected, bayes = estimator.predict_proba(x[kept]), posterior(estimator, x[kept])
    print(f"{count} classes: scikit-learn {expected[:3, 0].round(4)}, Bayes {bayes[:3, 0].round(4)}, ONNX {found[:3, 0].round(4)}")
    assert np.allclose(expected, bayes, atol=1e-4), "scikit-learn gives the posterior"
    assert (labels == estimator.predict(x[kept])).all(), "the labels are right"
    return expected, found, estimator.decision_function(x[kept])


expected, found, _ = probabilities(3)
assert np.allclose(found, expected, atol=1e-4), "three classes are right"
expected, found, decision = probabilities(2)
assert np.allclose(found[:, 1], 1 / (1 + np.exp(-2 * decision)), atol=1e-4), "the behaviour changed"
assert np.abs(found - expected).max() > 0.1, "the behaviour changed"
PYTHON
