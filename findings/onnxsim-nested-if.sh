#!/usr/bin/env bash
# onnxsim 0.8.1 puts the branch of an If with a constant condition in its place, and renames the values of the branch, but not where an If inside it
# reads them: it then raises an error about a model that is valid. ONNX's IR has inner graphs read the values of outer ones (IR.md, Graphs, names of
# values). Onnx's checker and ONNX Runtime 1.32.0 take the model. Seen on 2026-11-29:
#   "Nodes in a graph must be topologically sorted, however input 'd' of node ... is not output of any previous nodes"
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxsim==0.8.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import onnxsim
from onnx import parser

onnxruntime.set_default_logger_severity(4)
feeds = {"x": np.arange(1, 5, dtype=np.float32), "inner": np.array(True)}


def made(then_nodes):
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[4] x, bool inner) => (float[4] y) <bool outer = {{1}}> {{
            y = If (outer) <
                then_branch = t () => (float[4] a) {{
                    {then_nodes}
                    a = If (inner) <then_branch = p () => (float[4] r) {{ r = Mul (d, d) }}, else_branch = q () => (float[4] s) {{ s = Neg (d) }}>
                }},
                else_branch = e () => (float[4] b) {{ b = Neg (x) }}
            >
        }}""" if then_nodes else """<ir_version: 10, opset_import: ["" : 21]>
        g (float[4] x, bool inner) => (float[4] y) <bool outer = {1}> {
            y = If (outer) <then_branch = t () => (float[4] a) { d = Sqrt (x) a = Mul (d, d) }, else_branch = e () => (float[4] b) { b = Neg (x) }>
        }""")
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    print("runtime:", session.run(None, feeds)[0].tolist())
    return model


simplified, checked = onnxsim.simplify(made(""))
print("without an inner If:", [node.op_type for node in simplified.graph.node])
try:
    onnxsim.simplify(made("d = Sqrt (x)"))
    raise SystemExit("the behaviour changed")
except RuntimeError as error:
    print(" ".join(str(error).split())[:160])
    assert "is not output of any previous nodes" in str(error), "another error"
PYTHON
