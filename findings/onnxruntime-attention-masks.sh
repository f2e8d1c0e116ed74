#!/usr/bin/env bash
# Attention of opset 24: ONNX Runtime 1.32.0 (CPU) raises an error for masks that ONNX's text allows: "Shape must be broadcastable to (batch_size,
# q_num_heads, q_sequence_length, total_sequence_length)", which a mask of rank 1 is, and "The last dimension can also be shorter than
# total_sequence_length and will be padded to total_sequence_length with negative infinity". Onnx 1.23.2's reference takes both. Seen on 2026-11-29,
# keys 5:
#   masks 3 x 5: both compute; 3 x 4 and 5: runtime an error (inconsistent total_sequence_length; rank), reference as with the whole mask
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import checker, parser
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def results(text, feeds, opset=21):
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>' + text)
    checker.check_model(model, full_check=True)
    reference = ReferenceEvaluator(model).run(None, feeds)[0]
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0], reference
    except Exception as error:
        return str(error), reference


random = np.random.default_rng(1)
feeds = {name: random.standard_normal(shape).astype(np.float32) for name, shape in {"q": (1, 2, 3, 4), "k": (1, 2, 5, 4), "v": (1, 2, 5, 4)}.items()}
whole = np.broadcast_to(np.array([0, -1, 2, 0.5, -np.inf], np.float32), (3, 5)).copy()


def attended(mask):
    shape = ",".join(str(length) for length in mask.shape)
    text = f"""g (float[1,2,3,4] q, float[1,2,5,4] k, float[1,2,5,4] v, float[{shape}] mask) => (float[1,2,3,4] y) {{
        y = Attention (q, k, v, mask)
    }}"""
    runtime, reference = results(text, feeds | {"mask": mask}, opset=24)
    print(f"mask of {shape}: runtime {runtime[-160:] if isinstance(runtime, str) else runtime.ravel()[:3]}, reference {reference.ravel()[:3]}")
    return runtime, reference


runtime, expected = attended(whole)
assert np.allclose(runtime, expected, atol=1e-5), "the whole mask is taken"
for mask, message in ((whole[:, :4].copy(), "inconsistent total_sequence_length"), (whole[0].copy(), "attn_mask")):
    runtime, reference = attended(mask)
    assert np.allclose(reference, expected, atol=1e-5), "the reference does as the text says"
    assert isinstance(runtime, str) and message in runtime, "the behaviour changed"
PYTHON
