#!/usr/bin/env bash
# Scan outputs of Loop, which have a new first axis for the iterations. Of scalars onnx 1.23.2's reference gives a rank too many, n x 1, and where
# the body does not run it raises an error instead of giving an output of length 0. ONNX Runtime 1.32.0 (CPU) and onnx's shape
# inference have the ranks that the text says. Seen on 2026-11-29:
#   three scalars: runtime (3,), reference (3, 1); no iteration: runtime (0, 2), reference "need at least one array to concatenate"
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


def model_of(trips, element, step):
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[2] x) => (float[2] last, {element} y) {{
            n = Constant <value = int64 {{{trips}}}> ()
            c = Constant <value = bool {{1}}> ()
            last, y = Loop (n, c, x) <body = b (int64 i, bool before, float[2] v) => (bool after, float[2] w, {step} s) {{
                after = Identity (before)
                w = Add (v, v)
                s = Identity ({"i" if step == "int64" else "w"})
            }}>
        }}""")
    onnx.checker.check_model(model, full_check=True)
    return model


def runtime(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[1]


def reference(model):
    return ReferenceEvaluator(model).run(None, feeds)[1]


feeds = {"x": np.ones(2, np.float32)}
scalars, rows, nothing = model_of(3, "int64[3]", "int64"), model_of(3, "float[3,2]", "float[2]"), model_of(0, "float[k,2]", "float[2]")
print(f"scalars: runtime {runtime(scalars).shape}, reference {reference(scalars).shape}")
assert np.array_equal(runtime(rows), reference(rows)) and runtime(rows).shape == (3, 2), "rows are right"
assert runtime(scalars).shape == (3,) and runtime(nothing).shape == (0, 2), "the runtime's ranks"
assert reference(scalars).shape == (3, 1), "the behaviour changed"
try:
    reference(nothing)
except ValueError as error:
    print(f"no iteration: runtime {runtime(nothing).shape}, reference {error}")
else:
    raise AssertionError("the behaviour of no iteration changed")
PYTHON
