#!/usr/bin/env bash
# onnx 1.23.2's inliner, with inline_schema_functions, raises an error for a node that leaves out an optional input before one that it has, which
# ONNX's IR writes as an empty name (IR.md, Optional Inputs and Outputs): here Attention with a past and no mask. Onnx's checker, its shape inference
# and ONNX Runtime 1.32.0 take the model; with the mask the inliner does. Seen on 2026-11-29:
#   with a mask: 1 Attention becomes many nodes; without: "inliner.cc ... GetType: Assertion `false` failed: Type unknown for"
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import inliner, parser

onnxruntime.set_default_logger_severity(4)
shapes = {"q": [1, 2, 3, 4], "k": [1, 2, 3, 4], "v": [1, 2, 3, 4], "mask": [3, 5], "pk": [1, 2, 2, 4], "pv": [1, 2, 2, 4]}
random = np.random.default_rng(1)
feeds = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def made(mask):
    ports = ", ".join(f"float{shape} {name}" for name, shape in shapes.items())
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 23]>
        g ({ports}) => (float[1,2,3,4] y, float[1,2,5,4] pkv, float[1,2,5,4] pvv) {{
            y, pkv, pvv = Attention (q, k, v, {mask}, pk, pv)
        }}""")
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def inlined(model):
    return inliner.inline_selected_functions(model, [], exclude=True, inline_schema_functions=True)


after = inlined(made("mask"))
print(f"with a mask: {len(after.graph.node)} nodes, difference {np.abs(run(after) - run(made('mask'))).max():.1e}")
assert len(after.graph.node) > 5 and np.allclose(run(after), run(made("mask")), atol=1e-5), "with a mask it is right"
print("without a mask, runtime:", run(made(""))[0, 0, 0])
try:
    inlined(made(""))
    raise SystemExit("the behaviour changed")
except RuntimeError as error:
    print(str(error))
    assert "Type unknown for" in str(error), "another error"
PYTHON
