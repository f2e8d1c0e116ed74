#!/usr/bin/env bash
# MelWeightMatrix with an odd dft_length and an upper edge at half of the sample rate: ONNX Runtime 1.32.0 (CPU) raises an error, since it takes the
# number of the last bin by floor((dft_length + 1) * frequency / rate), which is one too many there. Onnx 1.23.2's reference computes
# it, as both do for even lengths and for an edge a little lower. Seen on 2026-11-29, 8000 Hz, 4 bands up to 4000 Hz:
#   length 32: both; length 33: reference 17 x 4, runtime an error; up to 3900 Hz: both 17 x 4
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import parser
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def parsed(text):
    return parser.parse_model('<ir_version: 10, opset_import: ["" : 21]>' + text)


def runtime(model, feeds):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def inferred(model):
    output = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.output[0]
    return [dimension.dim_value for dimension in output.type.tensor_type.shape.dim]



def both(length, edge):
    model = parsed(f"""g () => (float[bins,bands] y) {{
        bands = Constant <value_int = 4> ()
        length = Constant <value_int = {length}> ()
        rate = Constant <value_int = 8000> ()
        lower = Constant <value_float = 0.0> ()
        upper = Constant <value_float = {edge}> ()
        y = MelWeightMatrix (bands, length, rate, lower, upper)
    }}""")
    onnx.checker.check_model(model, full_check=True)
    other = ReferenceEvaluator(model).run(None, {})[0]
    try:
        return other, runtime(model, {})
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
        return other, str(error)


for length, edge in ((32, 4000.0), (33, 3900.0)):
    other, found = both(length, edge)
    assert np.allclose(found, other) and other.shape == (17, 4), "both agree"
other, found = both(33, 4000.0)
print(f"reference {other.shape}, the last bin {other[-1].tolist()}; runtime: {found[-120:]}")
assert other.shape == (17, 4) and np.isfinite(other).all(), "the reference computes it"
assert isinstance(found, str), "the behaviour changed"
PYTHON
