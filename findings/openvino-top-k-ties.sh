#!/usr/bin/env bash
# TopK of equal elements with `K` as an input of the model: openvino 2026.4.1 (CPU) gives indices in another order than ONNX's, and those of other
# elements. ONNX's text (TopK-11): "Given two equivalent values, this operator uses the indices along the axis as a tiebreaker. That is, the element
# with the lower index will appear first." ONNX Runtime 1.32.0 and onnx 1.23.2's reference do so, and openvino too with a constant K. Seen on
# 2026-11-29:
#   the 3 largest of 3, 1, 1, 1, 1, 2: openvino indices 0, 5, 2, runtime and reference 0, 5, 1
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



def indices(x, count, constant):
    port, k = ("", f"k = Constant <value_ints=[{count}]> ()") if constant else (", int64[1] k", "")
    text = f"""g (float[{len(x)}] x{port}) => (float[{count}] y, int64[{count}] i) {{
        {k}
        y, i = TopK (x, k)
    }}"""
    feeds = {"x": np.array(x, np.float32)} | ({} if constant else {"k": np.array([count])})
    found = [result.tolist() for result in results(text, feeds, index=1)]
    print(f"{count} of {x}, constant {constant}: openvino {found[0]}, runtime {found[1]}, reference {found[2]}")
    return found


assert indices([1, 4, 2, 3], 2, False) == [[1, 3]] * 3, "different elements are found in order"
for x, expected in (([3, 1, 1, 1, 1, 2], [0, 5, 1]), ([1, 1, 1, 1], [0, 1, 2])):
    assert indices(x, 3, True) == [expected] * 3, "a constant K keeps the order"
    found, *others = indices(x, 3, False)
    assert others == [expected] * 2, "the runtime and the reference do as the text says"
    assert found != expected, "the behaviour changed"
PYTHON
