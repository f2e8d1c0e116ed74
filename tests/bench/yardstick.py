#!/usr/bin/env python3
"""Times one warm float32 run of FlashMem against ncnn's Vulkan backend, on the software Vulkan adapter.

    yardstick.py --models-dir DIR --flashmem-bin DIR [--repeat N] [--only MODEL] [--json]

DIR of the models holds MODEL.onnx and MODEL.npz as ../models/export.py writes them; ncnn's copies,
converted by pnnx, are kept in its folder `ncnn` and made again when the model or pnnx changes.
DIR of the programs holds `flashmem-compile` and `flashmem-run`, built for release.

The two take turns (ncnn, FlashMem, ncnn, ...), N turns each. A turn is one run that is not counted
and one that is: for ncnn in a network that stays loaded, for FlashMem in a process of its own
(`--repeat 2`, the second of `runs_ms`). Both times go from inputs in host memory to outputs in host
memory. Printed: median, extremes, (max - min) / median, and FlashMem's time over ncnn's (below 1:
FlashMem is faster). Both outputs are compared with the reference in MODEL.npz.

ncnn keeps its defaults, except that all reduced precision (float16, bfloat16, int8) is off. Two
things to know: its Vulkan GELU is the tanh approximation whatever the model says, and it holds all
weights, where FlashMem streams them as its bundle says (compiled without a budget).

Exit codes: 0 done, 1 something failed or an output is wrong, 2 wrong usage. Deliberately not here:
cold starts, memory, float16, hardware adapters, ncnn's CPU backend, and a verdict on the ratio.
"""
import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ncnn
import numpy as np
import pnnx

MODELS = {"resnet50": ("image", "logits"), "vit-b16": ("pixel_values", "logits")}  # input, output
MIN_REPEAT = 5
RUNS = 2  # of a turn; the last one counts
# Relative L2 distance from the reference. Float32 differs by summation order (some 1e-5), ncnn's GELU
# by 2e-4 on ViT-B/16; with float16 by accident it is 8e-2 on ResNet-50.
TOLERANCE = 1e-3
CPU_DEVICE = 3  # ncnn.GpuInfo.type(): 0 discrete, 1 integrated, 2 virtual, 3 CPU
REDUCED_PRECISION = ["use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage",
                     "use_int8_packed", "use_int8_storage", "use_int8_arithmetic"]
COMMAND_TIMEOUT = 3600  # seconds


class Failed(Exception):
    """What to tell the user; ends the program with exit code 1."""


def note(text):
    print(text, file=sys.stderr, flush=True)


def call(*command):
    """Runs a program to its end; its output is shown only when it fails."""
    command = [str(c) for c in command]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=COMMAND_TIMEOUT)
    except OSError as e:
        raise Failed(f"cannot start {command[0]}: {e}") from e
    except subprocess.TimeoutExpired as e:
        raise Failed(f"not done after {COMMAND_TIMEOUT} s: {' '.join(command)}") from e
    if done.returncode:
        raise Failed(f"exit code {done.returncode}: {' '.join(command)}\n{done.stdout[-4000:].rstrip()}")
    return done.stdout


def relative_l2(output, reference):
    """Not a number, and so beyond every tolerance, when the output has any."""
    if output.size != reference.size:
        raise Failed(f"an output has {output.size} elements, the reference {reference.size}")
    output, reference = (a.astype(np.float64).ravel() for a in (output, reference))
    return float(np.linalg.norm(output - reference) / np.linalg.norm(reference))


def software_adapter():
    """(index, name) of the Vulkan device that computes on the CPU."""
    infos = [ncnn.get_gpu_info(i) for i in range(ncnn.get_gpu_count())]
    for index, info in enumerate(infos):
        if info.type() == CPU_DEVICE:
            return index, info.device_name()
    names = ", ".join(i.device_name() for i in infos) or "none"
    raise Failed(f"ncnn sees no software Vulkan adapter (adapters: {names}); ../setup.sh installs llvmpipe")


def convert(onnx, shape, folder):
    """ncnn's (param, bin) of a model; float32 weights."""
    param, weights, stamp = (folder / f"{onnx.stem}.{end}" for end in ("param", "bin", "json"))
    with open(onnx, "rb") as f:
        made_from = {"sha256": hashlib.file_digest(f, "sha256").hexdigest(), "pnnx": pnnx.__version__, "shape": list(shape)}
    if param.exists() and weights.exists() and stamp.exists() and json.loads(stamp.read_text()) == made_from:
        return param, weights
    note(f"{onnx.stem}: converting for ncnn")
    folder.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:  # pnnx writes beside its input, too
        source = Path(work, "model.onnx")
        source.symlink_to(onnx.resolve())
        made = Path(work, "out.param"), Path(work, "out.bin")
        size = ",".join(map(str, shape))
        log = call(pnnx.EXEC_PATH, source, f"inputshape=[{size}]f32", "fp16=0", f"ncnnparam={made[0]}", f"ncnnbin={made[1]}")
        if not all(m.exists() and m.stat().st_size for m in made):
            raise Failed(f"pnnx converted nothing of {onnx}:\n{log[-4000:]}")
        made[0].replace(param)
        made[1].replace(weights)
    stamp.write_text(json.dumps(made_from) + "\n")
    return param, weights


class Ncnn:
    """A network loaded on a Vulkan device."""

    def __init__(self, param, weights, device):
        self.net = ncnn.Net()
        self.net.opt.use_vulkan_compute = True
        for option in REDUCED_PRECISION:
            setattr(self.net.opt, option, False)
        self.net.set_vulkan_device(device)
        for load, path in ((self.net.load_param, param), (self.net.load_model, weights)):
            if load(str(path)):
                raise Failed(f"ncnn cannot load {path}")
        on = [o for o in REDUCED_PRECISION if getattr(self.net.opt, o)]
        if on or not self.net.opt.use_vulkan_compute:
            raise Failed(f"ncnn changed its options: use_vulkan_compute={self.net.opt.use_vulkan_compute}, on: {on}")
        self.cpu_layers = sorted({layer.type for layer in self.net.layers() if not layer.support_vulkan})
        names = self.net.input_names(), self.net.output_names()
        if [len(n) for n in names] != [1, 1]:
            raise Failed(f"{param}: expected one input and one output, there are {names}")
        self.input, self.output = names[0][0], names[1][0]

    def turn(self, x):
        """(ms, CPU ms of all threads, output) of the run that counts. A Mat has no batch: `x` is without it."""
        x = np.ascontiguousarray(x, dtype=np.float32)
        for _ in range(RUNS):
            wall, cpu = time.perf_counter(), time.process_time()
            with self.net.create_extractor() as extractor:
                if extractor.input(self.input, ncnn.Mat(x).clone()):
                    raise Failed("ncnn does not take the input")
                status, mat = extractor.extract(self.output)
                if status:
                    raise Failed(f"ncnn's run failed with status {status}")
                output = np.array(mat)  # a copy: the Mat may go with the extractor
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return wall * 1e3, cpu * 1e3, output

    def close(self):
        """Before the interpreter ends: ncnn's device goes first otherwise."""
        self.net.clear()


class FlashMem:
    """A bundle, compiled in `work`, and the program that runs it."""

    def __init__(self, programs, onnx, npz, output, adapter, work):
        self.run = programs["flashmem-run"]
        self.npz, self.output, self.adapter = npz, output, adapter
        self.bundle, self.out, self.stats = Path(work, "model.fmplan"), Path(work, "out.npz"), Path(work, "stats.json")
        call(programs["flashmem-compile"], onnx, "-o", self.bundle, "--device", "software")

    def turn(self):
        """(ms, output); the output is the first run's, which the program compares with the later ones."""
        for path in (self.out, self.stats):
            path.unlink(missing_ok=True)
        call(self.run, self.bundle, "--inputs", self.npz, "--outputs", self.out, "--repeat", RUNS, "--stats", self.stats,
             "--adapter", self.adapter)
        try:
            stats = json.loads(self.stats.read_text())
            where = stats["adapter"], str(stats["backend"]).lower(), stats["software"]
            runs = [float(ms) for ms in stats["runs_ms"]]
            with np.load(self.out) as arrays:
                output = arrays[self.output]
        except (OSError, ValueError, TypeError, KeyError) as e:
            raise Failed(f"flashmem-run left no usable statistics or outputs: {e!r}") from e
        if where != (self.adapter, "vulkan", True):
            raise Failed(f"flashmem-run used (adapter, backend, software) = {where}; ncnn uses {self.adapter} by Vulkan")
        if len(runs) != RUNS or not all(ms > 0 for ms in runs):
            raise Failed(f"flashmem-run's runs_ms is {runs}; expected {RUNS} times")
        return runs[-1], output


def summary(ms):
    median = statistics.median(ms)
    return {"median_ms": median, "min_ms": min(ms), "max_ms": max(ms), "spread": (max(ms) - min(ms)) / median, "turns_ms": ms}


def measure(model, models_dir, programs, repeat, device, adapter):
    """The result of one model, as it goes into the JSON."""
    input_name, output_name = MODELS[model]
    onnx, npz = models_dir / f"{model}.onnx", models_dir / f"{model}.npz"
    try:
        with np.load(npz) as arrays:
            x, reference = arrays[input_name], arrays[output_name]
    except (OSError, ValueError, KeyError) as e:
        raise Failed(f"{npz}: {e}") from e
    if x.shape[0] != 1 or x.dtype != np.float32 or reference.dtype != np.float32:
        raise Failed(f"{npz}: expected float32 and a batch of one, the input is {x.dtype}{list(x.shape)}")
    if not onnx.exists():
        raise Failed(f"{onnx} is missing; ../models/export.py {model} {onnx} makes it")

    times, errors, cpu = {"ncnn": [], "flashmem": []}, {"ncnn": [], "flashmem": []}, []
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(dir=models_dir) as work:  # a disk, where the system's folder may be memory
        note(f"{model}: compiling for FlashMem")
        flashmem = FlashMem(programs, onnx, npz, output_name, adapter, work)
        rival = Ncnn(*convert(onnx, x.shape, models_dir / "ncnn"), device)
        try:
            for turn in range(1, repeat + 1):
                ms, cpu_ms, output = rival.turn(x[0])
                times["ncnn"].append(ms)
                errors["ncnn"].append(relative_l2(output, reference))
                cpu.append(cpu_ms / ms)
                ms, output = flashmem.turn()
                times["flashmem"].append(ms)
                errors["flashmem"].append(relative_l2(output, reference))
                load.append(os.getloadavg()[0])
                note(f"{model}: turn {turn} of {repeat}: ncnn {times['ncnn'][-1]:.0f} ms, FlashMem {ms:.0f} ms")
        finally:
            rival.close()
    sides = {s: {**summary(times[s]), "relative_l2": float(np.max(errors[s]))} for s in times}  # np.max keeps NaN
    sides["ncnn"] |= {"cpu_layers": rival.cpu_layers, "cores_busy": statistics.median(cpu)}
    pairs = [f / n for n, f in zip(times["ncnn"], times["flashmem"])]
    return {
        **sides,
        "ratio": sides["flashmem"]["median_ms"] / sides["ncnn"]["median_ms"],
        "ratio_of_turns": {"median": statistics.median(pairs), "min": min(pairs), "max": max(pairs)},
        "load_average": {"min": min(load), "max": max(load)},
        "outputs_ok": all(s["relative_l2"] <= TOLERANCE for s in sides.values()),
    }


def text(model, r):
    lines = [f"{model}", f"  {'':9}{'median':>11}{'min':>11}{'max':>11}{'spread':>9}  relative L2"]
    for side, label in (("ncnn", "ncnn"), ("flashmem", "FlashMem")):
        s = r[side]
        mark = "" if s["relative_l2"] <= TOLERANCE else f"  WRONG, above {TOLERANCE:g}"
        ms = "".join(f"{s[k]:>8.1f} ms" for k in ("median_ms", "min_ms", "max_ms"))
        lines.append(f"  {label:9}{ms}{s['spread']:>8.0%}   {s['relative_l2']:.2e}{mark}")
    t = r["ratio_of_turns"]
    lines.append(f"  FlashMem / ncnn: {r['ratio']:.3f} of medians; turn by turn {t['median']:.3f}, from {t['min']:.3f} to {t['max']:.3f}")
    lines.append(f"  ncnn kept {r['ncnn']['cores_busy']:.1f} of {os.cpu_count()} cores busy; load average"
                 f" {r['load_average']['min']:.1f} to {r['load_average']['max']:.1f}")
    if r["ncnn"]["cpu_layers"]:
        lines.append(f"  layers that ncnn runs without Vulkan: {', '.join(r['ncnn']['cpu_layers'])}")
    return "\n".join(lines)


def programs_in(folder):
    found = {name: folder / name for name in ("flashmem-compile", "flashmem-run")}
    missing = [str(path) for path in found.values() if not os.access(path, os.X_OK) or path.is_dir()]
    if missing:
        raise Failed(f"no such program: {', '.join(missing)}; cargo build --release makes both")
    if folder.resolve().name == "debug":
        raise Failed(f"{folder} has debug builds; cargo build --release makes the ones to time")
    return found


def run(a):
    a.models_dir, a.flashmem_bin = a.models_dir.resolve(), a.flashmem_bin.resolve()
    programs = programs_in(a.flashmem_bin)
    device, adapter = software_adapter()
    result = {"adapter": adapter, "cores": os.cpu_count(), "repeat": a.repeat, "tolerance": TOLERANCE,
              "versions": {"ncnn": ncnn.__version__, "pnnx": pnnx.__version__,
                           "flashmem": call(programs["flashmem-run"], "--version").strip()}, "models": {}}
    if not a.json:
        print(f"One warm float32 run on {adapter}, {os.cpu_count()} cores, {a.repeat} turns each; ncnn {ncnn.__version__}", flush=True)
    for model in [a.only] if a.only else MODELS:
        result["models"][model] = measure(model, a.models_dir, programs, a.repeat, device, adapter)
        if not a.json:
            print("\n" + text(model, result["models"][model]), flush=True)
    if a.json:
        print(json.dumps(result, indent=1))
    wrong = [m for m, r in result["models"].items() if not r["outputs_ok"]]
    if wrong:
        raise Failed(f"outputs differ from the reference by more than {TOLERANCE:g}: {', '.join(wrong)}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--models-dir", type=Path, required=True, metavar="DIR", help="has MODEL.onnx and MODEL.npz of ../models/export.py")
    p.add_argument("--flashmem-bin", type=Path, required=True, metavar="DIR", help="has flashmem-compile and flashmem-run")
    p.add_argument("--repeat", type=int, default=MIN_REPEAT, metavar="N", help=f"turns of each side, at least {MIN_REPEAT} (default)")
    p.add_argument("--only", choices=list(MODELS), help="one model instead of all")
    p.add_argument("--json", action="store_true", help="the result as JSON instead of text; progress goes to stderr")
    a = p.parse_args()
    if a.repeat < MIN_REPEAT:
        p.error(f"--repeat {a.repeat}: at least {MIN_REPEAT}, or the median says little")
    try:
        run(a)
    except Failed as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
