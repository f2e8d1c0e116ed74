#!/usr/bin/env python3
"""Random models with quantised weights against ONNX Runtime's dequantised weights, bit for bit.

    exactness.py [--bin target/release] [--count 200] [--seed 1] [--keep FOLDER]

Every model has one weight, in one of the ways that files have: MatMulNBits, GatherBlockQuantized, DequantizeLinear per tensor,
per axis and blocked, QuantizeLinear of floats in front of it, and integers that are moved before they are dequantised. Products
are with the unit matrix, whose sums have one term that is not 0, so that both sides give the weight itself. Prints a line for
every model that differs or is refused, and exits with 1 when there is one.

Deliberately not here: activations that are quantised, and whether the products themselves agree (the tests of operators).
Needs requirements.txt, and the two programs.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
RANGES = {
    T.INT2: (-2, 1), T.UINT2: (0, 3), T.INT4: (-8, 7), T.UINT4: (0, 15), T.INT8: (-128, 127), T.UINT8: (0, 255),
    T.INT16: (-32768, 32767), T.UINT16: (0, 65535), T.INT32: (-2**31, 2**31 - 1),
}
FLOAT8 = [T.FLOAT8E4M3FN, T.FLOAT8E4M3FNUZ, T.FLOAT8E5M2, T.FLOAT8E5M2FNUZ]


class Draw:
    """A model under construction, and its random choices."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.inits, self.inputs, self.feed = [], [], [], {}
        self.text = ""

    def pick(self, *values):
        return values[self.rng.integers(len(values))]

    def size(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def constant(self, name, values, data_type=None):
        values = np.asarray(values)
        if data_type is None:
            self.inits.append(numpy_helper.from_array(values, name))
        elif data_type in FLOAT8:
            raw = values.astype(np.uint8).tobytes()
            self.inits.append(helper.make_tensor(name, data_type, values.shape, raw, raw=True))
        else:
            self.inits.append(helper.make_tensor(name, data_type, values.shape, values.flatten().tolist()))
        return name

    def scales(self, shape, half):
        """About half of them negative, over some orders of magnitude."""
        values = self.rng.standard_normal(shape) * 10.0 ** self.rng.uniform(-3, 1, shape)
        return np.asarray(values, np.float16 if half else np.float32)

    def input(self, name, values):
        data_type = helper.np_dtype_to_tensor_dtype(values.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, data_type, values.shape))
        self.feed[name] = values
        return name

    def node(self, op, inputs, output, **attributes):
        while inputs and inputs[-1] == "":
            inputs = inputs[:-1]
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"/{output}", **attributes))
        return output

    def model(self, output, data_type, opset):
        out = helper.make_tensor_value_info(output, data_type, None)
        graph = helper.make_graph(self.nodes, "g", self.inputs, [out], self.inits)
        sets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=sets, ir_version=11)


def matmul_nbits(d):
    bits, block, half = d.pick(2, 4, 8), d.pick(16, 32, 64, 128), d.pick(False, False, True)
    k, n = d.size(1, 150), d.size(1, 40)
    blocks = -(-k // block)
    zeros = d.pick("none", "packed", "floats" if bits != 8 else "packed")
    d.text = f"bits {bits} block {block} K {k} N {n} zeros {zeros} half {half}"
    d.constant("B", d.rng.integers(0, 256, (n, blocks, block * bits // 8), dtype=np.uint8))
    d.constant("s", d.scales((n, blocks), half))
    inputs = ["A", "B", "s", "", "", ""]
    if zeros == "packed":
        inputs[3] = d.constant("z", d.rng.integers(0, 256, (n, -(-blocks * bits // 8)), dtype=np.uint8))
    elif zeros == "floats":
        inputs[3] = d.constant("z", (d.rng.standard_normal((n, blocks)) * 4 + 8).astype(np.float16 if half else np.float32))
    if d.pick(False, True):
        inputs[5] = d.constant("bias", np.zeros(n, np.float16 if half else np.float32))
    d.input("A", np.eye(k, dtype=np.float16 if half else np.float32))
    d.node("MatMulNBits", inputs, "y", domain="com.microsoft", K=k, N=n, bits=bits, block_size=block,
           accuracy_level=d.pick(0, 1))
    return d.model("y", T.FLOAT16 if half else T.FLOAT, 21)


def gather_block_quantized(d):
    kind, half = d.pick(T.UINT8, T.INT4, T.UINT4), d.pick(False, False, True)
    block, rows = d.pick(16, 32), d.size(2, 30)
    if kind == T.UINT8:
        bits = d.pick(2, 4, 8)
        last = d.size(1, 60) * (8 // bits)
        shape, gather, along = [rows, last], 0, d.pick(1, -1)
        if d.pick(False, True):
            shape.insert(1, d.size(1, 3))
            along = len(shape) - 1
        stored = shape[:-1] + [last * bits // 8]
        data = d.rng.integers(0, 256, stored, dtype=np.uint8)
    else:
        bits, shape = 4, [rows, d.size(1, 100)]
        gather, along = d.pick((0, 1), (0, -1), (1, 0), (1, -2), (0, 0), (1, 1))
        low, high = RANGES[kind]
        data = d.rng.integers(low, high + 1, shape)
    scale = list(shape)
    scale[along] = -(-shape[along] // block)
    d.constant("x", data, kind)
    d.constant("s", d.scales(scale, half))
    inputs = ["x", "i", "s", ""]
    if d.pick(False, True):
        zeros = list(scale)
        if kind == T.UINT8:
            zeros[-1] = -(-zeros[-1] * bits // 8)
        low, high = RANGES[kind]
        inputs[3] = d.constant("z", d.rng.integers(low, high + 1, zeros), kind)
    count = shape[gather]
    d.input("i", d.rng.integers(-count, count, (2, count + 3)).astype(d.pick(np.int64, np.int32)))
    d.text = f"type {kind} bits {bits} shape {shape} block {block} gather {gather} along {along} zeros {bool(inputs[3])} half {half}"
    d.node("GatherBlockQuantized", inputs, "y", domain="com.microsoft", block_size=block, bits=bits, gather_axis=gather,
           quantize_axis=along)
    return d.model("y", T.FLOAT16 if half else T.FLOAT, 21)


def layout(d, shape):
    """Shape of the scales, and the attributes."""
    kind = d.pick("tensor", "axis", "block")
    if kind == "tensor":
        return kind, d.pick([], [1]), {}
    axis = d.size(0, len(shape) - 1)
    named = axis - d.pick(0, len(shape))
    if kind == "axis":
        return kind, [shape[axis]], {"axis": named}
    block = d.size(2, max(2, shape[axis] - 1))
    scale = list(shape)
    scale[axis] = -(-shape[axis] // block)
    return kind, scale, {"axis": named, "block_size": block}


def used(d, weight, shape, half):
    """The weight through a product with the unit matrix, a transposed one, or a sum with 0."""
    way = d.pick("product", "transposed", "sum")
    dtype = np.float16 if half else np.float32
    if way == "product":
        d.input("A", np.eye(shape[0], dtype=dtype))
        return d.node("MatMul", ["A", weight], "y")
    if way == "transposed":
        d.input("A", np.eye(shape[1], dtype=dtype))
        turned = d.node("Transpose", [weight], "turned", perm=[1, 0])
        return d.node("MatMul", ["A", turned], "y")
    d.input("A", np.zeros(shape, dtype))
    return d.node("Add", ["A", weight], "y")


def dequantize(d):
    data_type = d.pick(*RANGES, *FLOAT8)
    half = d.pick(False, False, True)
    shape = [d.size(1, 70), d.size(1, 70)]
    kind, scale, attributes = layout(d, shape)
    moved = kind == "tensor" and data_type not in FLOAT8 and d.pick(False, True)
    d.text = f"type {data_type} shape {shape} scales {scale} {attributes} half {half} moved {moved}"
    if data_type in FLOAT8:
        data = d.rng.integers(0, 120, shape)
    else:
        low, high = RANGES[data_type]
        data = d.rng.integers(low, high + 1, shape)
    d.constant("x", data, data_type)
    scales = d.scales(scale, half)
    if half and data_type in (T.INT16, T.UINT16, T.INT32):
        scales = np.asarray(scales * (1e-4 if data_type != T.INT32 else 0), np.float16)
    d.constant("s", scales)
    inputs = ["x", "s", ""]
    if data_type in RANGES and data_type != T.INT32 and d.pick(False, True):
        inputs[2] = d.constant("z", d.rng.integers(low // 2, high // 2 + 1, scale), data_type)
    if moved:
        inputs[0] = d.node("Transpose", ["x"], "moved", perm=[1, 0])
        shape = shape[::-1]
    d.node("DequantizeLinear", inputs, "w", **attributes)
    used(d, "w", shape, half)
    return d.model("y", T.FLOAT16 if half else T.FLOAT, 25 if data_type in (T.INT2, T.UINT2) else 21)


def quantize_dequantize(d):
    data_type = d.pick(T.INT4, T.UINT4, T.INT8, T.UINT8, T.INT16, T.UINT16)
    half = d.pick(False, False, True)
    shape = [d.size(1, 70), d.size(1, 70)]
    kind, scale, attributes = layout(d, shape)
    d.text = f"type {data_type} shape {shape} scales {scale} {attributes} half {half}"
    dtype = np.float16 if half else np.float32
    d.constant("x", d.rng.standard_normal(shape).astype(dtype))
    low, high = RANGES[data_type]
    spread = d.rng.uniform(2, 8, scale) / (high - low)
    d.constant("s", np.asarray(spread * d.rng.choice([-1, 1], scale), dtype))
    inputs = ["s"] + ([d.constant("z", d.rng.integers(low // 2, high // 2 + 1, scale), data_type)] if d.pick(False, True) else [])
    typed = {} if len(inputs) == 2 else {"output_dtype": data_type}
    d.node("QuantizeLinear", ["x"] + inputs, "q", **attributes, **typed)
    d.node("DequantizeLinear", ["q"] + inputs, "w", **attributes)
    used(d, "w", shape, half)
    return d.model("y", T.FLOAT16 if half else T.FLOAT, 21)


def table(d):
    """Rows of a table of integers, dequantised behind the gather, as dynamic quantisation leaves them."""
    data_type = d.pick(T.INT8, T.UINT8)
    shape = [d.size(2, 50), d.size(1, 40)]
    low, high = RANGES[data_type]
    d.text = f"type {data_type} shape {shape}"
    d.constant("x", d.rng.integers(low, high + 1, shape), data_type)
    d.constant("s", d.scales([], False))
    d.constant("z", d.rng.integers(low, high + 1, []), data_type)
    d.input("i", d.rng.integers(-shape[0], shape[0], (3, shape[0])))
    d.node("Gather", ["x", "i"], "rows")
    d.node("DequantizeLinear", ["rows", "s", "z"], "y")
    return d.model("y", T.FLOAT, 17)


KINDS = [matmul_nbits, gather_block_quantized, dequantize, quantize_dequantize, matmul_nbits, dequantize, table]


def reference(model, feed):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)[0]


def verdict(bins, folder, model, feed, expected):
    onnx.save(model, folder / "m.onnx")
    np.savez(folder / "in.npz", **feed)
    commands = [
        [bins / "flashmem-compile", folder / "m.onnx", "-o", folder / "m.fmplan", "--device", "software", "--weights", "f32", "--quiet"],
        [bins / "flashmem-run", folder / "m.fmplan", "--inputs", folder / "in.npz", "--outputs", folder / "out.npz"],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            return "refused: " + " ".join(done.stderr.split())[-300:]
    found = np.load(folder / "out.npz")["y"]
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return f"{found.dtype} {found.shape} instead of {expected.dtype} {expected.shape}"
    # 0 and −0 are equal: a sum of zeros loses the sign.
    wrong = ~((found == expected) | (np.isnan(found) & np.isnan(expected)))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        return f"{wrong.sum()} of {wrong.size} elements differ; {at}: {found[at]!r} instead of {expected[at]!r}"
    return None


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", type=Path, default=ROOT / "target/release")
    ap.add_argument("--count", type=int, default=200)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--keep", type=Path, help="where models that differ are kept")
    a = ap.parse_args()
    counts, bad = {}, 0
    with tempfile.TemporaryDirectory() as name:
        for i in range(a.count):
            kind = KINDS[i % len(KINDS)]
            d = Draw([a.seed, i])
            model = kind(d)
            try:
                expected = reference(model, d.feed)
            except Exception as error:
                counts["not taken by ONNX Runtime"] = counts.get("not taken by ONNX Runtime", 0) + 1
                print(f"{i} {kind.__name__} {d.text}: ONNX Runtime: {' '.join(str(error).split())[-160:]}")
                continue
            said = verdict(a.bin, Path(name), model, d.feed, expected)
            counts[kind.__name__] = counts.get(kind.__name__, 0) + (said is None)
            if said is not None:
                bad += 1
                print(f"{i} {kind.__name__} {d.text}: {said}", flush=True)
                if a.keep:
                    a.keep.mkdir(parents=True, exist_ok=True)
                    onnx.save(model, a.keep / f"{i}_{kind.__name__}.onnx")
    print(f"equal, by kind: {counts}; wrong or refused: {bad}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
