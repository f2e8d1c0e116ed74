#!/usr/bin/env bash
# STFT without its attribute onesided, whose default is 1: onnx 1.23.2's shape inference says a bin for each element of a frame, as for onesided = 0.
# Written out as 1 it says half and one, which is what onnx's reference and ONNX Runtime 1.32.0 (CPU) give in both cases. Seen on
# 2026-11-29, frames of 8:
#   left out: inferred 8 bins, runtime and reference 5; onesided = 1: all 5; onesided = 0: all 8
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


feeds = {"x": np.arange(17, dtype=np.float32).reshape(1, 17, 1)}
for attribute, expected in (("", 8), ("<onesided = 1>", 5), ("<onesided = 0>", 8)):
    model = parsed(f"""g (float[1,17,1] x) => (float[a,frames,bins,b] y) {{
        step = Constant <value_int = 3> ()
        window = Constant <value = float[8] {{1, 1, 1, 1, 1, 1, 1, 1}}> ()
        y = STFT {attribute} (x, step, window)
    }}""")
    onnx.checker.check_model(model)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    found, other = runtime(model, feeds), ReferenceEvaluator(model).run(None, feeds)[0]
    print(f"{attribute or 'left out'}: inferred {inferred(model)}, runtime {found.shape}, reference {other.shape}")
    assert found.shape == other.shape == (1, 4, 8 if "0" in attribute else 5, 2), "the runtime and the reference"
    assert inferred(model) == [1, 4, expected, 2], "the behaviour changed"
PYTHON
