#!/usr/bin/env python3
"""Compiles and runs the light models of the onnx package, and compares with ONNX Runtime.

    light.py --bin DIR --work DIR [--only A,B] [--weights f32,f16] [--device PROFILE] [--adapter NAME]

The nine graphs (`onnx/backend/test/data/light`: AlexNet, DenseNet-121, Inception v1 and v2, ResNet-50,
ShuffleNet, SqueezeNet, VGG-19, ZFNet-512) come without weights: every one is a `ConstantOfShape`, so that a
wrong kernel may still give the right answer. Each is therefore run twice: as it is shipped (`plain`), and
with all of these constants replaced by seeded random weights (`random`). DIR of the programs holds
`flashmem-compile` and `flashmem-run`. Prints a table as Markdown; models are deleted after use. Exit codes:
0 all right, 1 some refused or wrong, 2 wrong usage. Deliberately not here: times.
"""
import argparse
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

NAMES = ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19",
         "zfnet512"]
TOLERANCE = {"f32": 1e-4, "f16": 1e-2}  # relative L2
SEED = 20260217


def roles(graph):
    """{tensor: how it is used}, looking through Unsqueeze: (operator, input number)."""
    alias = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Unsqueeze"}
    found = {}
    for n in graph.node:
        for k, name in enumerate(n.input):
            if n.op_type != "Unsqueeze":
                found[alias.get(name, name)] = (n.op_type, k)
    return found


def drawn(shape, role, rng):
    x = rng.standard_normal(shape, dtype=np.float32)
    if len(shape) > 1:  # filters and matrices: activations keep their variance through a ReLU
        fan_in = math.prod(shape[1:])
        return x * np.float32(math.sqrt(2 / fan_in))
    if role == ("BatchNormalization", 4):  # variance
        return 1 + 0.5 * np.tanh(x)
    return 1 + 0.1 * x if role in (("BatchNormalization", 1), ("Mul", 1)) else 0.1 * x


def randomise(model):
    """ConstantOfShape nodes become initialisers."""
    g = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in g.initializer}
    used, rng, kept = roles(g), np.random.default_rng(SEED), []
    for n in g.node:
        if n.op_type == "ConstantOfShape" and n.input[0] in constants:
            shape = [int(d) for d in constants[n.input[0]]]
            g.initializer.append(numpy_helper.from_array(drawn(shape, used.get(n.output[0]), rng), n.output[0]))
        else:
            kept.append(n)
    del g.node[:]
    g.node.extend(kept)


def soften(model, inputs):
    """Divides what a final softmax reads by its deviation: else the softmax is one-hot, and hides all errors."""
    g = model.graph
    last = next(n for n in g.node if g.output[0].name in n.output)
    if last.op_type != "Softmax":
        return
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.append(onnx.ValueInfoProto(name=last.input[0]))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    deviation = session.run([last.input[0]], inputs)[0].std()
    g.initializer.append(numpy_helper.from_array(np.array([1 / deviation], np.float32), "soften"))
    at = list(g.node).index(last)
    g.node.insert(at, helper.make_node("Mul", [last.input[0], "soften"], ["softened"], name="soften"))
    last.input[0] = "softened"


def inputs_of(model):
    constants = {t.name for t in model.graph.initializer}
    rng = np.random.default_rng(SEED)
    return {i.name: rng.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim], dtype=np.float32)
            for i in model.graph.input if i.name not in constants}


def reference(path, inputs):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def attempt(a, path, weights, expected):
    """(relative L2 distance, None) or (None, why not)"""
    bundle, outputs = path.with_suffix(".fmplan"), path.with_suffix(".out.npz")
    adapter = ["--adapter", a.adapter] if a.adapter else []
    try:
        for command in ([a.bin / "flashmem-compile", path, "-o", bundle, "--weights", weights, "--device", a.device, "--quiet"],
                        [a.bin / "flashmem-run", bundle, "--inputs", path.with_suffix(".npz"), "--outputs", outputs, *adapter]):
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=1800)
            if done.returncode:
                return None, done.stderr.strip().splitlines()[-1]
        with np.load(outputs) as got:
            x = np.concatenate([got[k].astype(np.float64).reshape(-1) for k in expected])
        y = np.concatenate([v.astype(np.float64).reshape(-1) for v in expected.values()])
        error = float(np.linalg.norm(x - y) / np.linalg.norm(y))
        return error, None if error <= TOLERANCE[weights] else "wrong"
    finally:
        bundle.unlink(missing_ok=True)
        outputs.unlink(missing_ok=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", type=Path, required=True)
    ap.add_argument("--work", type=Path, required=True)
    ap.add_argument("--only")
    ap.add_argument("--weights", default="f32,f16")
    ap.add_argument("--device", default="desktop")
    ap.add_argument("--adapter")
    a = ap.parse_args()
    names, precisions = (a.only.split(",") if a.only else NAMES), a.weights.split(",")
    if unknown := [n for n in names if n not in NAMES] + [w for w in precisions if w not in TOLERANCE]:
        ap.error(f"unknown: {', '.join(unknown)}")
    a.work.mkdir(parents=True, exist_ok=True)
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    print("| model | " + " | ".join(f"{k}, {w}: rel. L2" for k in ("plain", "random") for w in precisions) + " |")
    print("|---|" + "--:|" * (2 * len(precisions)), flush=True)
    failed = False
    for name in names:
        cells = []
        for kind in ("plain", "random"):
            path = a.work / f"{name}-{kind}.onnx"
            model = onnx.load(str(folder / f"light_{name}.onnx"))
            if kind == "random":
                randomise(model)
            inputs = inputs_of(model)
            if kind == "random":
                soften(model, inputs)
            onnx.save(model, str(path))
            expected = reference(path, inputs)
            np.savez(path.with_suffix(".npz"), **inputs)
            for weights in precisions:
                error, reason = attempt(a, path, weights, expected)
                failed |= reason is not None
                cells.append(f"{error:.1e}" + (" WRONG" if reason else "") if error is not None else f"refused: {reason}")
            path.unlink()
            path.with_suffix(".npz").unlink()
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
