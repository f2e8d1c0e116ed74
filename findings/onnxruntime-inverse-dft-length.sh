#!/usr/bin/env bash
# DFT, inverse and one-sided, with a dft_length other than twice the count of bins less one. By ONNX "only values for k in 0 to n/2 are used",
# the others follow by symmetry: that is numpy.fft.irfft(x, n), and onnx 1.23.2's reference agrees. ONNX Runtime 1.32.0 (CPU) gives something
# else, without an error, both where the spectrum is cut and where it is extended by zeros. Seen on 2026-11-29, relative L2 from numpy, of
# 11 bins:
#   20 elements (all bins): runtime 9.5e-07, reference 9.4e-08; 6: 0.60 and 4.5e-08; 7: 0.63 and 7.7e-08; 30: 0.044 and 8.7e-08
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
spectrum = np.fft.rfft(np.random.default_rng(3).standard_normal(20))
x = np.stack([spectrum.real, spectrum.imag], -1).astype(np.float32)[None]


def errors(length):
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)]
    constants = [helper.make_tensor(name, TensorProto.INT64, [], [value]) for name, value in (("length", length), ("axis", 1))]
    node = helper.make_node("DFT", ["x", "length", "axis"], ["y"], inverse=1, onesided=1)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, length, 1])
    graph = helper.make_graph([node], "g", inputs, [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.fft.irfft(spectrum, length)
    found = [session.run(None, {"x": x})[0].ravel(), ReferenceEvaluator(model).run(None, {"x": x})[0].ravel()]
    result = [float(np.linalg.norm(value - expected) / np.linalg.norm(expected)) for value in found]
    print(f"{length} elements: runtime {result[0]:.1e}, reference {result[1]:.1e}")
    return result


assert max(errors(20)) < 1e-5, "the whole spectrum is transformed alike"
seen = [errors(length) for length in (6, 7, 30)]
assert all(reference < 1e-5 for _, reference in seen), "the reference is numpy's irfft"
assert all(runtime > 0.02 for runtime, _ in seen), "the behaviour changed"
PYTHON
