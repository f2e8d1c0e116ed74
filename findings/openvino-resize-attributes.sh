#!/usr/bin/env bash
# Resize: openvino 2026.4.1 (CPU) leaves out `antialias`, `exclude_outside` and `keep_aspect_ratio_policy` without a warning, so that numbers and even
# the shape of the output differ from ONNX's (Resize-19, the attributes). ONNX Runtime 1.32.0 and onnx 1.23.2's reference agree on them. Seen on
# 2026-11-29:
#   antialias, linear, 0 to 5 to half: openvino 0.5, 2.5, 4.5, else 0.625, 2.5, 4.375; not_larger than 4 x 4 of 2 x 4: openvino 4 x 4, else 2 x 4
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import io

import numpy as np
import onnxruntime
import openvino
from onnx import checker, parser
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
core = openvino.Core()


def results(text, feeds, opset=21, index=0):
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>' + text)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(io.BytesIO(model.SerializeToString())), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    reference = ReferenceEvaluator(model).run(None, feeds)[index]
    return [np.array(compiled(feeds)[index]), session.run(None, feeds)[index], reference]


openvino_differs = []


def compared(shape, wanted, attributes, inputs):
    rank = len(shape.split(","))
    text = f"""g (float[{shape}] x) => (float[{wanted}] y) {{
        scales = Constant <value = float[{rank}] {{{",".join(["1"] * (rank - 1) + ["0.5"])}}}> ()
        twice = Constant <value = float[{rank}] {{{",".join(["1"] * (rank - 1) + ["2"])}}}> ()
        sizes = Constant <value_ints = [1, 1, 4, 4]> ()
        y = Resize <{attributes}> (x, , {inputs})
    }}"""
    lengths = [int(length) for length in shape.split(",")]
    x = np.arange(np.prod(lengths), dtype=np.float32).reshape(lengths)
    found = results(text, {"x": x})
    print(f"{attributes}:", *(f"{who} {one.shape} {one.ravel()[:3].tolist()}" for who, one in zip(("openvino", "runtime", "reference"), found)))
    assert found[1].shape == found[2].shape and np.allclose(found[1], found[2], atol=1e-4), "the runtime and the reference agree"
    openvino_differs.append(found[0].shape != found[1].shape or not np.allclose(found[0], found[1], atol=1e-2))


compared("1,1,1,6", "1,1,1,3", 'mode="linear"', "scales")
compared("1,1,1,6", "1,1,1,12", 'mode="cubic"', "twice")
compared("1,1,2,4", "1,1,4,4", 'mode="nearest", keep_aspect_ratio_policy="stretch"', ", sizes")
assert not any(openvino_differs), "without the attributes all agree"
compared("1,1,1,6", "1,1,1,3", 'mode="linear", antialias=1', "scales")
compared("1,1,1,6", "1,1,1,12", 'mode="cubic", exclude_outside=1', "twice")
compared("1,1,2,4", "1,1,2,4", 'mode="nearest", keep_aspect_ratio_policy="not_larger"', ", sizes")
assert openvino_differs[3:] == [True] * 3, "the behaviour changed"
PYTHON
