#!/usr/bin/env bash
# ConvInteger with a zero point for each output channel: ONNX Runtime 1.32.0 (CPU) raises an error. ONNX's text (ConvInteger-10, w_zero_point): "It
# could be a scalar or a 1-D tensor, which means a per-tensor/layer or per output channel quantization." Onnx 1.23.2's reference takes it; the runtime
# refuses equal ones as well. Seen on 2026-11-29:
#   one zero point: both compute; one for each channel: runtime "Non per-tensor quantization is not supported now"
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


feeds = {"x": np.array([1, 1, 2], np.uint8).reshape(1, 1, 1, 3), "w": np.array([3, 3], np.uint8).reshape(2, 1, 1, 1)}


def convolved(zeros):
    shape = "" if zeros.ndim == 0 else f"[{zeros.size}]"
    text = f"""g (uint8[1,1,1,3] x, uint8[2,1,1,1] w, uint8{shape} zero) => (int32[1,2,1,3] y) {{
        none = Constant <value = uint8 {{0}}> ()
        y = ConvInteger (x, w, none, zero)
    }}"""
    runtime, reference = results(text, feeds | {"zero": zeros})
    print(f"zero points {zeros.tolist()}: runtime {runtime[-70:] if isinstance(runtime, str) else runtime.tolist()}, reference {reference.tolist()}")
    return runtime, reference



def exact(zeros):
    return feeds["x"].astype(np.int32) * (feeds["w"].ravel().astype(np.int32) - zeros).reshape(1, 2, 1, 1)


runtime, reference = convolved(np.array(1, np.uint8))
assert np.array_equal(runtime, exact([1, 1])) and np.array_equal(reference, exact([1, 1])), "one zero point is taken"
for zeros in ([0, 1], [1, 1]):
    runtime, reference = convolved(np.array(zeros, np.uint8))
    assert np.array_equal(reference, exact(zeros)), "the reference does as the text says"
    assert isinstance(runtime, str) and "Non per-tensor quantization" in runtime, "the behaviour changed"
PYTHON
