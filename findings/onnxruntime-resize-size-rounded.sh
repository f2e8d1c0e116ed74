#!/usr/bin/env bash
# Resize by scales: output_dimension = floor(input_dimension * scale). ONNX Runtime 1.32.0 (CPU) rounds the product to f32 before: 10 * 0.7 is 6.9999999
# of the f32 number that is nearest to 0.7, and becomes 7. Onnx 1.23.2's shape inference and its reference have 6, as f64 does, where
# the product is exact. Seen on 2026-11-29:
#   10 * 0.7: runtime 7, inferred and reference 6; 3 * 2.3333333: 7 and 6; 10 * 0.75: all 7
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


differ = []
for length, scale in ((10, 0.7), (3, 2.3333333), (10, 1.4), (10, 0.75)):
    model = parsed(f"""g (float[{length}] x) => (float[n] y) {{
        scales = Constant <value = float[1] {{{scale}}}> ()
        y = Resize (x, , scales)
    }}""")
    onnx.checker.check_model(model)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    feeds = {"x": np.arange(length, dtype=np.float32)}
    exact = int(np.floor(length * np.float64(np.float32(scale))))
    found, other = len(runtime(model, feeds)), len(ReferenceEvaluator(model).run(None, feeds)[0])
    print(f"{length} * {scale}: runtime {found}, inferred {inferred(model)}, reference {other}, floor of the exact product {exact}")
    assert inferred(model) == [other] == [exact], "the inference and the reference are exact"
    differ.append(found - exact)
assert differ == [1, 1, 1, 0], "the behaviour changed"
PYTHON
