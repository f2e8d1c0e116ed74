#!/usr/bin/env bash
# onnxoptimizer 0.4.2 raises an error for a valid model in which a Gemm reads a Transpose without `perm`, whose default reverses the axes: the pass
# fuse_transpose_into_gemm takes the attribute for given. With perm written out it fuses. Seen on 2026-11-29:
#   without perm: "Assertion `!required || it != values_.end()` failed"; with perm = [1, 0]: one Gemm with transA
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxoptimizer==0.4.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import parser
import onnxoptimizer


onnxruntime.set_default_logger_severity(4)


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def parsed(text):
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 21]>' + text)
    onnx.checker.check_model(model, full_check=True)
    return model



def model_of(attribute):
    return parsed(f"g (float[3,4] x) => (float[4,4] y) {{ t = Transpose {attribute} (x) y = Gemm (t, x) }}")


feeds = {"x": np.arange(12, dtype=np.float32).reshape(3, 4)}
written = onnxoptimizer.optimize(model_of("<perm = [1, 0]>"))
before, after = run(model_of(""), feeds), run(written, feeds)
assert [node.op_type for node in written.graph.node] == ["Gemm"] and np.array_equal(before, after), "with perm it is fused"
try:
    optimized = onnxoptimizer.optimize(model_of(""))
except RuntimeError as error:
    print(f"with perm: {written.graph.node[0].op_type}; without: {error}")
else:
    raise AssertionError(f"the behaviour changed: {[node.op_type for node in optimized.graph.node]}")
PYTHON
