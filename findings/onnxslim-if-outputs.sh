#!/usr/bin/env bash
# onnxslim 0.1.98 puts the branch of an If with a constant condition in its place, and renames its outputs to those of the If, but not where other
# nodes of the branch read them: the model is then invalid, without an error, since a node reads a value that nothing makes. A branch whose outputs
# nobody reads inside is right. ONNX Runtime 1.32.0 runs the model as it was. Seen on 2026-11-29:
#   "Nodes in a graph must be topologically sorted, however input 'a_subg_...' ... is not output of any previous nodes"
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxslim==0.1.98 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import onnxslim
from onnx import parser

onnxruntime.set_default_logger_severity(4)
x = np.arange(1, 5, dtype=np.float32)


def slimmed(then_nodes):
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[4] x) => (float[4] y, float[4] z) <bool c = {{1}}> {{
            u, v = If (c) <
                then_branch = t () => (float[4] a, float[4] b) {{ {then_nodes} }},
                else_branch = e () => (float[4] d, float[4] f) {{ d = Neg (x) f = Exp (x) }}
            >
            y = Mul (u, v)
            z = Neg (u)
        }}""")
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    print("before:", [result.tolist() for result in session.run(None, {"x": x})])
    after = onnxslim.slim(model)
    print("after:", [(node.op_type, list(node.input), list(node.output)) for node in after.graph.node])
    return after


onnx.checker.check_model(slimmed("a = Sqrt (x) b = Abs (x)"))
try:
    onnx.checker.check_model(slimmed("a = Sqrt (x) b = Abs (a)"))
    raise SystemExit("the behaviour changed")
except onnx.checker.ValidationError as error:
    print(str(error).splitlines()[0])
    assert "is not output of any previous nodes" in str(error), "another error"
PYTHON
