#!/usr/bin/env bash
# Upsample (to opset 9) and Resize of opset 10 take output i from input i / scale; Resize from 11 on does so with
# coordinate_transformation_mode `asymmetric` and has `half_pixel` as default. onnx 1.23.2's version_converter raises both without writing the
# attribute, so that all elements move by up to half a pixel, and nearest neighbours change. Seen on 2026-11-29, of 0, 1, 2, 3 in ONNX Runtime 1.32.0
# (CPU), twice the size:
#   linear, 9 and 10: 0, 0.5, 1, 1.5 ...; converted to 13: 0, 0.25, 0.75, 1.25 ...
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, version_converter

onnxruntime.set_default_logger_severity(4)
x = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)


def result(model):
    checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0].ravel()


def before_and_after(op, version, mode, scale):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, width]) for name, width in (("x", 4), ("y", int(4 * scale)))]
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 1, scale])
    graph = helper.make_graph([helper.make_node(op, ["x", "scales"], ["y"], mode=mode)], "g", ports[:1], ports[1:], [scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=5)
    raised = version_converter.convert_version(model, 13)
    found = result(model), result(raised)
    print(f"{op} {version} {mode}: {found[0]}, converted {found[1]}")
    assert np.array_equal(found[0], by_text(mode, scale)), "before, elements are at i / scale"
    return found


def by_text(mode, scale):
    places = np.arange(int(4 * scale)) / scale
    return np.interp(places, np.arange(4), np.arange(4)) if mode == "linear" else np.floor(places)


for op, version in (("Upsample", 9), ("Resize", 10)):
    before, after = before_and_after(op, version, "linear", 2.0)
    assert np.allclose(after, np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 3)), "the behaviour changed"
before, after = before_and_after("Upsample", 9, "nearest", 2.6)
assert not np.array_equal(before, after), "the behaviour of nearest neighbours changed"
PYTHON
