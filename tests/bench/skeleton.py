#!/usr/bin/env python3
"""Carries a model's graph without its weights, and draws weights for it anew.

    skeleton.py strip MODEL.onnx OUT.skel.onnx
    skeleton.py fill IN.skel.onnx MODEL.onnx [--seed N] [--no-reference]

`strip` writes the graph with every float tensor above 16 KiB replaced by its shape, type, mean and
standard deviation: kilobytes to a few megabytes instead of gigabytes. Smaller tensors and all integers and
masks stay, and so do the integer inputs of MODEL.npz, when there is one.

`fill` draws normal numbers with these means and deviations, on all cores, and writes

    MODEL.onnx       the graph
    MODEL.onnx.data  the weights, each 4 KiB aligned, in first-use order
    MODEL.npz        inputs, and ONNX Runtime's outputs (CPU, all cores) under their own names

The same skeleton and seed give the same weights and inputs on any number of cores. The numbers are not
those of the stripped model, so its outputs are not either: what is measured is speed, memory, and the
distance of one engine from another on the same file. Exit codes: 0 done, 1 failed, 2 wrong usage.
Deliberately not here: architectures and tracing (../models), and any use of torch.
"""
import argparse
import json
import math
import os
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INLINE = 16 << 10  # bytes; smaller tensors stay, since masks and biases are more than their statistics
CHUNK = 1 << 22  # elements drawn by one task from one stream
ALIGN = 4096
FLOATS = {TensorProto.FLOAT: np.dtype(np.float32), TensorProto.FLOAT16: np.dtype(np.float16)}
OUTLIER = 50  # deviations; a tensor with such elements is structure (a mask), not noise
PLACEHOLDER = "skeleton"
PROPERTY = "skeleton.inputs"  # metadata of the model: {name: nested list} of the integer inputs


class Failed(Exception):
    """What to tell the user; ends the program with exit code 1."""


def elements(t):
    return math.prod(t.dims)


def entries(t):
    return {e.key: e.value for e in t.external_data}


def values_of(t, folder, maps):
    """The elements of an initialiser, mapped when they are in a file of their own."""
    if t.data_location != TensorProto.EXTERNAL:
        return numpy_helper.to_array(t).reshape(-1)
    e = entries(t)
    path = folder / e["location"]
    if path not in maps:
        maps[path] = np.memmap(path, np.uint8, "r")
    at, dtype = int(e.get("offset", 0)), np.dtype(helper.tensor_dtype_to_np_dtype(t.data_type))
    return maps[path][at:at + elements(t) * dtype.itemsize].view(dtype)


def statistics(x):
    """(mean, deviation), or None when the tensor is more than noise."""
    total = square = 0.0
    largest = 0.0
    for start in range(0, x.size, CHUNK):
        part = x[start:start + CHUNK].astype(np.float64)
        if not np.isfinite(part).all():
            return None
        total += part.sum()
        square += (part * part).sum()
        largest = max(largest, np.abs(part).max())
    mean = total / x.size
    deviation = math.sqrt(max(square / x.size - mean * mean, 0.0))
    return None if largest > abs(mean) + OUTLIER * deviation else (float(mean), float(deviation))


def strip(source, target):
    model = onnx.load(str(source), load_external_data=False)
    del model.graph.value_info[:]
    maps, folder, kept, dropped = {}, source.resolve().parent, 0, 0
    for t in model.graph.initializer:
        size = elements(t) * FLOATS[t.data_type].itemsize if t.data_type in FLOATS else 0
        found = statistics(values_of(t, folder, maps)) if size > INLINE else None
        if found is None:
            if t.data_location == TensorProto.EXTERNAL:
                raw = values_of(t, folder, maps).tobytes()
                t.ClearField("external_data")
                t.ClearField("data_location")
                t.raw_data = raw
            kept += 1
            continue
        for field in ("raw_data", "float_data", "int32_data", "external_data"):
            t.ClearField(field)
        t.data_location = TensorProto.EXTERNAL
        for key, value in (("location", PLACEHOLDER), ("mean", repr(found[0])), ("std", repr(found[1]))):
            t.external_data.add(key=key, value=value)
        dropped += 1
    arrays = source.with_suffix(".npz")
    if arrays.exists():
        with np.load(arrays) as z:
            names = {i.name for i in model.graph.input}
            integers = {k: z[k].tolist() for k in z.files if k in names and z[k].dtype.kind in "iub"}
        model.metadata_props.add(key=PROPERTY, value=json.dumps(integers))
    target.write_bytes(model.SerializeToString())
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB, {dropped} tensors dropped, {kept} kept", file=sys.stderr)


def draw(fd, offset, dtype, count, mean, deviation, seed):
    """One chunk of a tensor, written at its place."""
    x = np.random.Generator(np.random.SFC64(seed)).standard_normal(count, dtype=np.float32)
    x *= np.float32(deviation)
    x += np.float32(mean)
    raw = memoryview(x.astype(dtype, copy=False)).cast("B")
    while raw:
        written = os.pwrite(fd, raw, offset)
        raw, offset = raw[written:], offset + written


def fill_weights(model, target, seed):
    data = Path(f"{target}.data")
    tasks, end = [], 0
    for t in model.graph.initializer:
        e = entries(t)
        if e.get("location") != PLACEHOLDER:
            continue
        dtype = FLOATS[t.data_type]
        offset = end + -end % ALIGN
        end = offset + elements(t) * dtype.itemsize
        t.ClearField("external_data")
        for key, value in (("location", data.name), ("offset", offset), ("length", end - offset)):
            t.external_data.add(key=key, value=str(value))
        mean, deviation, name = float(e["mean"]), float(e["std"]), zlib.crc32(t.name.encode())
        for number, start in enumerate(range(0, elements(t), CHUNK)):
            count = min(CHUNK, elements(t) - start)
            tasks.append((offset + start * dtype.itemsize, dtype, count, mean, deviation, [seed, name, number]))
    fd = os.open(data, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.truncate(fd, end)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done in [pool.submit(draw, fd, *task) for task in tasks]:
                done.result()
    finally:
        os.close(fd)
    return end


def make_inputs(model, seed):
    stored = next((json.loads(p.value) for p in model.metadata_props if p.key == PROPERTY), {})
    constants = {t.name for t in model.graph.initializer}
    inputs = {}
    for number, port in enumerate(i for i in model.graph.input if i.name not in constants):
        tensor = port.type.tensor_type
        shape = [d.dim_value for d in tensor.shape.dim]
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        if port.name in stored:
            inputs[port.name] = np.array(stored[port.name], dtype).reshape(shape)
        elif dtype.kind == "f":
            generator = np.random.Generator(np.random.SFC64([seed, number]))
            inputs[port.name] = generator.standard_normal(shape, dtype=np.float32).astype(dtype)
        else:
            raise Failed(f"input `{port.name}` holds integers, and the skeleton has none: strip beside its MODEL.npz")
    return inputs


def reference(path, inputs):
    """ONNX Runtime's outputs by name."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_prepacking", "1")  # or it holds the weights twice
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def fill(source, target, seed, with_reference):
    start = time.monotonic()
    model = onnx.load(str(source), load_external_data=False)
    size = fill_weights(model, target, seed)
    target.write_bytes(model.SerializeToString())
    inputs = make_inputs(model, seed)
    drawn = time.monotonic()
    outputs = reference(target, inputs) if with_reference else {}
    for name, y in outputs.items():
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise Failed(f"output `{name}` of ONNX Runtime is not finite with these weights")
    np.savez(target.with_suffix(".npz"), **inputs, **outputs)
    print(f"{target}: {size / 1e6:.1f} MB drawn in {drawn - start:.1f} s, reference in "
          f"{time.monotonic() - drawn:.1f} s", file=sys.stderr)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = ap.add_subparsers(dest="command", required=True)
    for name, text in (("strip", "take the weights out"), ("fill", "draw weights anew")):
        c = commands.add_parser(name, help=text)
        c.add_argument("source", type=Path)
        c.add_argument("target", type=Path)
        if name == "fill":
            c.add_argument("--seed", type=int, default=1)
            c.add_argument("--no-reference", action="store_true", help="inputs only; ONNX Runtime does not run")
    a = ap.parse_args()
    try:
        a.target.parent.mkdir(parents=True, exist_ok=True)
        if a.command == "strip":
            strip(a.source, a.target)
        else:
            fill(a.source, a.target, a.seed, not a.no_reference)
    except (Failed, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
