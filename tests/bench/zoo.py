#!/usr/bin/env python3
"""Compiles and runs the full-size networks one after the other, and keeps one table of what came out.

    zoo.py --skeletons DIR --bin DIR --work DIR [--only A,B] [--weights f16,f32] [--device PROFILE]
    zoo.py --models DIR    --bin DIR --work DIR ...
    zoo.py --work DIR --table

For every network, precision and budget: compile, drop the bundle from the page cache, run in a process of its
own (`--repeat` runs), compare with ONNX Runtime, delete. Two budgets each:

    resident   everything on the device after the first run (`--keep all`, no budget)
    tight      arena and staging together at most a quarter of the weights' bytes in f16 (32 MiB for ResNet-50 and
               DepthAnything-S); activations, constants and buffers for inputs and outputs come on top

DIR of the skeletons holds NAME.skel.onnx as `skeleton.py strip` writes them; weights, inputs and reference are
made by `skeleton.py fill` and deleted after the network. DIR of the models holds NAME.onnx and NAME.npz as
../models/export.py writes them; these stay. DIR of the programs holds `flashmem-compile` and `flashmem-run`.
Results are kept in WORK/zoo.json after every step: started again, the script goes on where it stopped; failed
rows are tried again with --retry. --table prints the rows as Markdown. Exit codes: 0 all rows done, 1 some
failed, 2 wrong usage. Deliberately not here: device profiles, comparisons with other engines.
"""
import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

MODELS = ["resnet50", "depthanything-s", "vit", "gptneo-s", "deepvit", "sam2", "whisper-medium-encoder",
          "depthanything-l", "whisper-medium-decoder", "sd-unet", "gptneo-1.3b", "gptneo-2.7b"]
SMALL = {"resnet50": 32 << 20, "depthanything-s": 32 << 20}  # bytes of arena and staging at the tight budget
SHARE = 4  # of the f16 weights otherwise
BUDGETS = ["resident", "tight"]
TOLERANCE = {"f32": 1e-4, "f16": 1e-2}  # relative L2


class Failed(Exception):
    """Why a row has no result."""


def note(text):
    print(text, file=sys.stderr, flush=True)


def call(command, limit_s, watch=None):
    """Runs a program; its output is shown only when it fails. Gives seconds, and the most anonymous memory seen."""
    started, most = time.monotonic(), 0
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    done = threading.Event()

    def poll():
        nonlocal most
        while not done.wait(0.02):
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                return
            most = max([most, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))])

    watcher = threading.Thread(target=poll, daemon=True)
    if watch:
        watcher.start()
    try:
        output, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Failed(f"{Path(command[0]).name} took more than {limit_s:.0f} s") from None
    finally:
        done.set()
    if process.returncode:
        raise Failed(f"{Path(command[0]).name}: exit code {process.returncode}: {output.strip()[-600:]}")
    return time.monotonic() - started, most << 10


def drop_from_page_cache(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def distance(outputs, reference):
    """Largest relative L2 distance over the outputs, and whether the largest element of each is the same one."""
    worst, same = 0.0, True
    with np.load(outputs) as got, np.load(reference) as want:
        for name in got.files:
            x, y = got[name].astype(np.float64), want[name].astype(np.float64)
            if x.shape != y.shape or not np.isfinite(x).all():
                raise Failed(f"output `{name}` has shape {x.shape} (expected {y.shape}) or is not finite")
            worst = max(worst, np.linalg.norm(x - y) / max(np.linalg.norm(y), 1e-300))
            same &= bool(x.argmax() == y.argmax())
    return float(worst), same


def inspect(a, bundle):
    return json.loads(subprocess.run([a.bin / "flashmem-compile", "inspect", "--json", bundle],
                                     check=True, capture_output=True, text=True).stdout)


def compile_for(a, name, model, bundle, weights, budget, resident):
    """Compiles; gives the seconds, the most anonymous memory and what `inspect` says. `resident` is the row of the other
    budget, if there is one: what it holds beside arena and staging is a first guess."""
    command = [a.bin / "flashmem-compile", model, "-o", bundle, "--weights", weights, "--device", a.device, "--quiet"]
    if budget == "resident":
        seconds, memory = call([*command, "--keep", "all"], a.limit, watch=True)
        return seconds, memory, inspect(a, bundle)
    limit, wanted = SMALL.get(name), None
    if resident:
        limit = limit or resident["weight_bytes"] // (1 if weights == "f16" else 2) // SHARE
        wanted = resident["declared_bytes"] - resident["arena_bytes"] - resident["staging_bytes"] + limit
    for _ in range(4):  # the plan itself counts, and depends a little on the budget
        seconds, memory = call([*command, *(["--budget", str(wanted)] if wanted else [])], a.limit, watch=True)
        found = inspect(a, bundle)
        m = found["memory"]
        if limit is None:
            limit = found["weight_bytes"] // (1 if weights == "f16" else 2) // SHARE
        streamed = m["weight_arena_bytes"] + m["staging_bytes"]
        if streamed <= limit:
            return seconds, memory, found
        rest = found["declared_peak_bytes"] - streamed
        wanted = min(rest + limit, wanted - (streamed - limit) if wanted else 1 << 63)
    raise Failed(f"arena and staging of {streamed} bytes exceed {limit}")


def row(a, name, model, reference, weights, budget, resident):
    bundle, outputs, stats = (a.work / f"{name}.{end}" for end in ("fmplan", "out.npz", "stats.json"))
    try:
        compile_s, compile_bytes, plan = compile_for(a, name, model, bundle, weights, budget, resident)
        memory = plan["memory"]
        result = dict(
            bundle_bytes=bundle.stat().st_size, weight_bytes=plan["weight_bytes"], page_bytes=plan["page_bytes"],
            pages=plan["pages"], pipelines=plan["pipelines"], dispatches=plan["steps"],
            declared_bytes=plan["declared_peak_bytes"], arena_bytes=memory["weight_arena_bytes"],
            staging_bytes=memory["staging_bytes"], activation_bytes=memory["activation_bytes"],
            constant_bytes=memory["constant_bytes"], compile_s=compile_s, compile_anonymous_bytes=compile_bytes)
        if a.no_run:
            return result
        drop_from_page_cache(bundle)
        adapter = ["--adapter", a.adapter] if a.adapter else []
        call([a.bin / "flashmem-run", bundle, "--inputs", reference, "--outputs", outputs, "--stats", stats,
              "--repeat", a.repeat, *adapter], a.limit)
        s = json.loads(stats.read_text())
        error, same_top = distance(outputs, reference)
        result |= dict(
            rel_l2=error, same_top=same_top, ok=error <= TOLERANCE[weights], measured_bytes=s["measured_peak_bytes"],
            bytes_read_runs=s.get("bytes_read_runs"), cold_ms=s["cold_ms"], load_ms=s["load_ms"], runs_ms=s["runs_ms"],
            adapter=s["adapter"])
        if not result["ok"]:
            raise Failed(f"relative L2 {error:.2e} exceeds {TOLERANCE[weights]}")
        return result
    finally:
        for path in (bundle, outputs, stats):
            path.unlink(missing_ok=True)


def prepared(a, name):
    """(model, its inputs and reference, files to delete afterwards)"""
    if a.models:
        model = a.models / f"{name}.onnx"
        return model, model.with_suffix(".npz"), []
    model = a.work / f"{name}.onnx"
    files = [model, Path(f"{model}.data"), model.with_suffix(".npz")]
    call([sys.executable, Path(__file__).parent / "skeleton.py", "fill", a.skeletons / f"{name}.skel.onnx", model], a.limit)
    return model, files[2], files


def run_model(a, name, results, store):
    rows = [(w, b) for w in a.weights for b in BUDGETS]
    wanted = [r for r in rows if (old := results.get("/".join((name, *r)))) is None or (a.retry and "failed" in old)]
    if not wanted:
        return
    files, started = [], time.monotonic()
    try:
        try:
            model, reference, files = prepared(a, name)
        except Failed as error:
            for r in wanted:
                results["/".join((name, *r))] = dict(failed=str(error))
            note(f"{name}: {error}")
            return
        note(f"{name}: ready after {time.monotonic() - started:.1f} s")
        for weights, budget in wanted:
            key = f"{name}/{weights}/{budget}"
            try:
                other = results.get(f"{name}/{weights}/resident")
                resident = other if budget == "tight" and other and "failed" not in other else None
                results[key] = row(a, name, model, reference, weights, budget, resident)
                ran = results[key]
                came = f"{ran['rel_l2']:.1e}, cold {ran['cold_ms']:.0f} ms" if "rel_l2" in ran else "compiled"
                note(f"{key}: {came}, {time.monotonic() - started:.1f} s so far")
            except Failed as error:
                results[key] = dict(failed=str(error))
                note(f"{key}: FAILED: {error}")
            store()
    finally:
        for path in files:
            path.unlink(missing_ok=True)
        store()


def table(results):
    mib = lambda b: f"{b / (1 << 20):.1f}"
    lines = ["| network, weights, budget | rel. L2 | bundle MB | pages | pipelines / dispatches | arena + staging MiB | "
             "activations MiB | declared MiB | measured MiB | cold ms | runs ms | compile s / anonymous MiB |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|"]
    for key in sorted(results, key=lambda k: (MODELS.index(k.split("/")[0]), k)):
        r, name = results[key], key.replace("/", ", ")
        if "failed" in r:
            lines.append(f"| {name} | failed: {r['failed'].splitlines()[-1][:120]} |" + " |" * 10)
            continue
        ran = "rel_l2" in r
        lines.append(
            f"| {name} | {format(r['rel_l2'], '.1e') if ran else '–'} | {r['bundle_bytes'] / 1e6:.0f} | "
            f"{r['pages']} × {r['page_bytes'] >> 10} KiB | {r['pipelines']} / {r['dispatches']} | "
            f"{mib(r['arena_bytes'] + r['staging_bytes'])} | {mib(r['activation_bytes'])} | {mib(r['declared_bytes'])} | "
            f"{mib(r['measured_bytes']) if ran else '–'} | {format(r['cold_ms'], '.0f') if ran else '–'} | "
            f"{', '.join(f'{x:.0f}' for x in r['runs_ms']) if ran else '–'} | "
            f"{r['compile_s']:.1f} / {mib(r['compile_anonymous_bytes'])} |")
    return "\n".join(lines)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = ap.add_mutually_exclusive_group()
    source.add_argument("--skeletons", type=Path, help="folder of NAME.skel.onnx")
    source.add_argument("--models", type=Path, help="folder of NAME.onnx and NAME.npz")
    ap.add_argument("--bin", type=Path, help="folder of the release programs")
    ap.add_argument("--work", type=Path, required=True, help="scratch folder; keeps zoo.json")
    ap.add_argument("--only", help="names, separated by commas")
    ap.add_argument("--weights", default="f16,f32")
    ap.add_argument("--device", default="desktop", help="profile for the compiler")
    ap.add_argument("--adapter", help="as of flashmem-run")
    ap.add_argument("--repeat", type=int, default=3)
    ap.add_argument("--limit", type=float, default=240, help="seconds for any one program")
    ap.add_argument("--no-run", action="store_true", help="compile only")
    ap.add_argument("--retry", action="store_true", help="try failed rows again")
    ap.add_argument("--table", action="store_true", help="print what there is and stop")
    a = ap.parse_args()
    a.weights = a.weights.split(",")
    names = a.only.split(",") if a.only else MODELS
    unknown = [x for x in names if x not in MODELS] + [w for w in a.weights if w not in TOLERANCE]
    if unknown:
        ap.error(f"unknown: {', '.join(unknown)}")
    if not a.table and (not a.bin or not (a.skeletons or a.models)):
        ap.error("--bin and one of --skeletons and --models are required")
    a.work.mkdir(parents=True, exist_ok=True)
    file = a.work / "zoo.json"
    results = json.loads(file.read_text()) if file.exists() else {}

    def store():
        file.with_suffix(".tmp").write_text(json.dumps(results, indent=1) + "\n")
        file.with_suffix(".tmp").replace(file)

    if not a.table:
        for name in [m for m in MODELS if m in names]:
            run_model(a, name, results, store)
    print(table(results))
    return 1 if any("failed" in r for r in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
