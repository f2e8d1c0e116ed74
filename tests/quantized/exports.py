#!/usr/bin/env python3
"""Quantised exports of small networks, made with ONNX Runtime's quantiser, through FlashMem and through ONNX Runtime.

    exports.py [--bin target/release] [-k PATTERN] [--out FOLDER]

Networks are those of networks.py; forms are what people export: weights in 4 bits as blocked DequantizeLinear (`int4-qdq`), packed
MatMulNBits of 4 and 8 bits (`nbits4`, `nbits8`), QuantizeLinear and DequantizeLinear around weights and activations (`int8-qdq`), operators
on integers (`qoperator`), and activations that are quantised as they come (`dynamic`). Where activations stay floats, results must
agree to 1e-4 (relative L2); elsewhere a rounding that falls the other way moves a whole step, and 5e-2 is allowed. Prints a line a
model, and exits with 1 when one is refused or disagrees.

Deliberately not here: trained weights, and accuracy against the float networks. Needs requirements.txt, and the two programs.
"""
import argparse
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import networks
import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quant_pre_process, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

ROOT = Path(__file__).resolve().parents[2]
FLOAT_TOLERANCE, INTEGER_TOLERANCE = 1e-4, 5e-2


class Once(CalibrationDataReader):
    """The inputs, a few times over with other values."""

    def __init__(self, feeds):
        rng = np.random.default_rng(1)
        other = lambda v: v if v.dtype.kind == "i" else (v + 0.1 * rng.standard_normal(v.shape)).astype(v.dtype)
        self.left = [{name: other(value) for name, value in feeds.items()} for _ in range(4)]

    def get_next(self):
        return self.left.pop() if self.left else None


def blocked(source, target, bits, form, symmetric):
    quantiser = MatMulNBitsQuantizer(onnx.load(source), bits=bits, block_size=32, is_symmetric=symmetric, quant_format=form)
    quantiser.process()
    onnx.save(quantiser.model.model, target)


def static(source, target, form, feeds):
    prepared = source.with_suffix(".prepared.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, target, Once(feeds), quant_format=form, per_channel=form == QuantFormat.QDQ,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


FORMS = {
    "int4-qdq": (True, lambda s, t, f: blocked(s, t, 4, QuantFormat.QDQ, True)),
    "int4-qdq-zeros": (True, lambda s, t, f: blocked(s, t, 4, QuantFormat.QDQ, False)),
    "nbits4": (True, lambda s, t, f: blocked(s, t, 4, QuantFormat.QOperator, False)),
    "nbits8": (True, lambda s, t, f: blocked(s, t, 8, QuantFormat.QOperator, True)),
    "int8-qdq": (False, lambda s, t, f: static(s, t, QuantFormat.QDQ, f)),
    "qoperator": (False, lambda s, t, f: static(s, t, QuantFormat.QOperator, f)),
    "dynamic": (False, lambda s, t, f: quantize_dynamic(s, t, weight_type=QuantType.QUInt8)),
}


def reference(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feeds)


def verdict(bins, model, feeds, tolerance, folder):
    expected = reference(model, feeds)
    np.savez(folder / "in.npz", **feeds)
    commands = [
        [bins / "flashmem-compile", model, "-o", folder / "m.fmplan", "--device", "software", "--weights", "f32", "--quiet"],
        [bins / "flashmem-run", folder / "m.fmplan", "--inputs", folder / "in.npz", "--outputs", folder / "out.npz"],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode:
            return False, "refused: " + " ".join(done.stderr.split())[-300:]
    found = np.load(folder / "out.npz")
    pairs = zip(expected, found.values())
    error = max(float(np.linalg.norm(e - f) / np.linalg.norm(e)) for e, f in pairs)
    return error <= tolerance, f"relative L2 {error:.1e}"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", type=Path, default=ROOT / "target/release")
    ap.add_argument("-k", default="", help="only names that contain this")
    ap.add_argument("--out", type=Path, help="where the models are kept")
    a = ap.parse_args()
    logging.disable(logging.WARNING)
    bad = count = 0
    with tempfile.TemporaryDirectory() as name:
        folder = a.out or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        for network in networks.ALL:
            model, feeds = network()
            for form, (floats, make) in FORMS.items():
                name = f"{model.graph.name}-{form}"
                if a.k not in name:
                    continue
                source, target = folder / f"{model.graph.name}.onnx", folder / f"{name}.onnx"
                onnx.save(model, source)
                make(source, target, feeds)
                right, said = verdict(a.bin, target, feeds, FLOAT_TOLERANCE if floats else INTEGER_TOLERANCE, folder)
                count, bad = count + 1, bad + (not right)
                print(f"{name}: {said}{'' if right else '  <-- WRONG'}", flush=True)
    print(f"{count} models, {bad} refused or wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
