#!/usr/bin/env python3
"""Warm time of networks on one GPU, beside engines that keep all weights resident, in one run.

    peers.py --models DIR --bin DIR --work DIR [--networks NAME,NAME] [--before DIR] [--repeat 20] [--rounds 2]

DIR/NAME.onnx and DIR/NAME.npz are what `skeleton.py fill` writes. Of every network:

    ours      `flashmem-compile --weights f16 --keep all`, in f32 and with `--math mixed`, `flashmem-run bench`; with
              `--before`, older programs as well, which compile their own bundles
    WebGPU    ONNX Runtime with its WebGPU plugin (package onnxruntime-ep-webgpu), the same file in f32, and in f16 as
              ONNX Runtime's own converter makes it, inputs and outputs f32
    PyTorch   the architecture of tests/models/architectures.py with random weights, eager, f16 and f32 (TF32 allowed),
              inputs and outputs over the host

A figure is the median of `--repeat` runs after 3, in milliseconds, every engine in a process of its own; the rounds take turns over
everything, and the table has the least of their medians. What cannot be had or run is left out, and said on standard error. Exit codes: 0 done, 1 failed, 2
wrong usage. Deliberately not here: cold starts (zoo.py), and engines on the CPU.
"""
import argparse
import math
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WARM_UP = 3


def note(text):
    print(text, file=sys.stderr, flush=True)


def ours(program, bundle, npz, repeat):
    log = subprocess.run([program, "bench", bundle, "--inputs", npz, "--repeat", str(repeat), "--warmup", str(WARM_UP)],
                         capture_output=True, text=True, check=True)
    return float(re.search(r"warm: ([0-9.]+) ms", log.stdout + log.stderr)[1])


def compiled(program, model, bundle, math_name):
    subprocess.run([program, model, "-o", bundle, "--weights", "f16", "--keep", "all", "--math", math_name],
                   capture_output=True, text=True, check=True)


def timed(run, repeat):
    """Median of `repeat` runs, in ms."""
    times = []
    for _ in range(WARM_UP + repeat):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[WARM_UP:])


class WebGpu:
    """ONNX Runtime's WebGPU plugin."""

    def __init__(self):
        import onnxruntime
        import onnxruntime_ep_webgpu

        self.ort = onnxruntime
        onnxruntime.register_execution_provider_library("webgpu", onnxruntime_ep_webgpu.get_library_path())
        self.devices = [d for d in onnxruntime.get_ep_devices() if "webgpu" in d.ep_name.lower()][:1]
        if not self.devices:
            raise RuntimeError("the plugin has no device")

    def half(self, model, out):
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        halves = convert_float_to_float16(onnx.load(model), keep_io_types=True, disable_shape_infer=True)
        onnx.save(halves, out, save_as_external_data=True, location=f"{out.name}.data")

    def runner(self, model, npz):
        options = self.ort.SessionOptions()
        options.log_severity_level = 3
        options.add_provider_for_devices(self.devices, {})
        session = self.ort.InferenceSession(str(model), options)
        arrays = np.load(npz)
        inputs = {port.name: arrays[port.name] for port in session.get_inputs()}
        return lambda: session.run(None, inputs)


def torch_runner(name, half):
    import torch

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
    import architectures

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    with torch.no_grad():
        spec = architectures.MODELS[name](argparse.Namespace(tiny=False, seq=None))
    kind = torch.float16 if half else torch.float32
    module = spec.module.eval().cuda().to(kind)
    inputs = [torch.from_numpy(np.asarray(array)) for array in spec.inputs.values()]

    @torch.no_grad()
    def run():
        sent = [x.cuda().to(kind) if x.is_floating_point() else x.cuda() for x in inputs]
        for y in module(*sent):
            y.float().cpu()

    return run


PEERS = {
    "WebGPU f16": lambda args, name: web_runner(args, name, True),
    "WebGPU f32": lambda args, name: web_runner(args, name, False),
    "PyTorch f16": lambda args, name: torch_runner(name, True),
    "PyTorch f32": lambda args, name: torch_runner(name, False),
}


def web_runner(args, name, half):
    web, model = WebGpu(), args.models / f"{name}.onnx"
    if half:
        web.half(model, halves := args.work / f"{name}.f16.onnx")
    return web.runner(halves if half else model, args.models / f"{name}.npz")


def peer(args, name, column):
    """A peer's median, in a process of its own: nothing of another engine is on the device."""
    own = [sys.executable, __file__, "--models", args.models, "--bin", args.bin, "--work", args.work]
    own += ["--networks", name, "--repeat", str(args.repeat), "--only", column]
    done = subprocess.run(own, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing"]
        note(f"{name}: {column}: {said[-1][:160]}")
        return None
    return float(done.stdout.split()[-1])


def measured(args, name):
    """The row of a network: least of the rounds' medians by column."""
    model, npz, row, runs = args.models / f"{name}.onnx", args.models / f"{name}.npz", {}, []
    for column, programs, math_name in (("before, mixed", args.before, "mixed"), ("f32", args.bin, "f32"), ("mixed", args.bin, "mixed")):
        if programs:
            bundle = args.work / f"{name}-{column.split(',')[0]}.fmplan"
            compiled(programs / "flashmem-compile", model, bundle, math_name)
            program = programs / "flashmem-run"
            runs.append((column, lambda program=program, bundle=bundle: ours(program, bundle, npz, args.repeat)))
    runs += [(column, lambda column=column: peer(args, name, column)) for column in PEERS]
    for _ in range(args.rounds):
        for column, run in list(runs):
            ms = run()
            if ms is None:
                runs = [other for other in runs if other[0] != column]
            else:
                row[column] = min(ms, row.get(column, math.inf))
    return row


def least(row, prefix):
    found = [ms for column, ms in row.items() if column.startswith(prefix)]
    return min(found) if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--models", "--bin", "--work"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--before", type=Path, help="folder of older programs")
    parser.add_argument("--networks", help="NAME,NAME; all of --models by default")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=PEERS, help="print the median of one peer")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    names = args.networks.split(",") if args.networks else sorted(path.stem for path in args.models.glob("*.onnx"))
    if args.only:
        return print(timed(PEERS[args.only](args, names[0]), args.repeat))
    columns = ["before, mixed", "f32", "mixed", "WebGPU f16", "WebGPU f32", "PyTorch f16", "PyTorch f32"]
    print("| | " + " | ".join(columns) + " | mixed / before | mixed / WebGPU | mixed / PyTorch |")
    print("|---|" + "--:|" * (len(columns) + 3))
    ratios = {"before": [], "WebGPU": [], "PyTorch": []}
    for name in names:
        row = measured(args, name)
        cells = [f"{row[column]:.2f}" if column in row else "–" for column in columns]
        for engine, list_ in ratios.items():
            other = least(row, engine)
            if other:
                list_.append(row["mixed"] / other)
            cells.append(f"{row['mixed'] / other:.2f}" if other else "–")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    means = [f"{statistics.geometric_mean(list_):.2f}" if list_ else "–" for list_ in ratios.values()]
    print("| geometric mean |" + " |" * len(columns) + " " + " | ".join(means) + " |")


if __name__ == "__main__":
    main()
