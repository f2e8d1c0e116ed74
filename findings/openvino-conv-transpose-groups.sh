#!/usr/bin/env bash
# ConvTranspose with `output_shape` and groups: openvino 2026.4.1 (CPU) cuts what is too much off the end alone, without groups as ONNX says. ONNX's
# text (ConvTranspose-11): "If (auto_pads == SAME_UPPER): pads[start_i] = total_padding[i]/2 ... Else: pads[start_i] = total_padding[i] -
# (total_padding[i]/2)", so half at the start, or one more. ONNX Runtime 1.32.0 does so. Seen on 2026-11-29, x = 1, 2, kernel 1, 10, 100, strides 2,
# of the whole 1, 10, 102, 20, 200 four elements:
#   two groups: openvino 1, 10, 102, 20, runtime 10, 102, 20, 200; one group: both 10, 102, 20, 200
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

onnxruntime.set_default_logger_severity(4)
core = openvino.Core()


def results(text, feeds, opset=21, index=0):
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>' + text)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(io.BytesIO(model.SerializeToString())), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [np.array(compiled(feeds)[index]), session.run(None, feeds)[index]]



def transposed(groups, attribute):
    kernel = ",".join(["1, 10, 100"] * groups)
    text = f"""g (float[1,{groups},2] x) => (float[1,{groups},n] y) <float[{groups},1,3] w = {{{kernel}}}> {{
        y = ConvTranspose <strides=[2], group={groups}{attribute}> (x, w)
    }}"""
    found = [result[0, -1].tolist() for result in results(text, {"x": np.array([[[1, 2]] * groups], np.float32)})]
    print(f"{groups} groups{attribute}: openvino {found[0]}, runtime {found[1]}")
    return found


whole = [1, 10, 102, 20, 200]
for groups in (1, 2):
    assert transposed(groups, "") == [whole] * 2, "nothing is cut"
    assert transposed(groups, ", pads=[1, 1]") == [whole[1:4]] * 2, "pads are right"
for length in (3, 4):
    assert transposed(1, f", output_shape=[{length}]") == [whole[1 : 1 + length]] * 2, "without groups both do as the text says"
    found, runtime = transposed(2, f", output_shape=[{length}]")
    assert runtime == whole[1 : 1 + length], "the runtime does as the text says"
    assert found == whole[:length], "the behaviour changed"
PYTHON
