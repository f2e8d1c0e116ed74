#!/usr/bin/env bash
# LRN of an even size, and of an input with one spatial axis: ONNX Runtime 1.32.0 (CPU) raises an error. ONNX's text (LRN-13) has the region from
# max(0, c - floor((size - 1) / 2)) to min(C - 1, c + ceil((size - 1) / 2)), where floor and ceil differ only for even sizes, and inputs "(N x C x D1
# x D2 ... Dn)". Onnx 1.23.2's reference computes the even size, by the formula. Seen on 2026-11-29:
#   size 2 of 4 dimensions and size 3 of 3: runtime an error; size 3 of 4 dimensions: as the formula
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import checker, parser
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def by_text(x, size, alpha, beta, bias):
    sums = np.zeros(x.shape, np.float64)
    for c in range(x.shape[1]):
        first, last = max(0, c - (size - 1) // 2), min(x.shape[1] - 1, c + -(-(size - 1) // 2))
        sums[:, c] = (x[:, first : last + 1].astype(np.float64) ** 2).sum(1)
    return x / (bias + alpha / size * sums) ** beta


def computed(shape, size):
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[{shape}] x) => (float[{shape}] y) {{
            y = LRN <size={size}, alpha=0.5, beta=0.75, bias=2.0> (x)
        }}""")
    checker.check_model(model, full_check=True)
    x = np.arange(1, 33, dtype=np.float32).reshape([int(length) for length in shape.split(",")])
    if x.ndim == 4:
        reference = ReferenceEvaluator(model).run(None, {"x": x})[0]
        assert np.allclose(reference, by_text(x, size, 0.5, 0.75, 2.0), atol=1e-4), "the reference does as the text says"
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        found = bool(np.allclose(session.run(None, {"x": x})[0], by_text(x, size, 0.5, 0.75, 2.0), atol=1e-4))
    except Exception as error:
        found = str(error)[-110:].strip()
    print(f"size {size} of {shape}: runtime {found}")
    return found


assert computed("4,4,2,1", 3) is True, "odd sizes of four dimensions are right"
for shape, size in (("4,4,2,1", 2), ("4,4,2", 3)):
    assert isinstance(computed(shape, size), str), "the behaviour changed"
PYTHON
