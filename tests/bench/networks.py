#!/usr/bin/env python3
"""Runs several networks in one order: linked into one bundle, and as bundles of their own.

    networks.py --models DIR --bin DIR --work DIR --budget 400MiB [--only A,B] [--calls 10] [--seed 1]
    networks.py --models DIR --bin DIR --work DIR --budget 400MiB --sequence 'text unet*20 vae'

DIR of the models holds NAME.onnx, and NAME.npz with inputs, as ../models/export.py and `skeleton.py fill` write them; without
--sequence every network is called as often, in an order drawn from the seed. DIR of the programs holds `flashmem-compile`
and `flashmem-run`. Measured, each in processes of its own, with the bundles dropped from the page cache first:

    linked        one bundle under the budget, every next network announced
    unannounced   the same, without saying what comes next
    resident      one bundle without a budget: everything stays, if the device can hold it
    apart         a session for each network, open at the same time, with an equal share of the budget (or the least that works)
    reopened      a session for each call, with the whole budget: opening, reading and running

Times of `apart` are sums of warm runs, cold ones first, and peaks are sums; those of `reopened` are sums over calls of the median
of opening and running. Results go to WORK/networks.json and, as a table, to standard output. Exit codes: 0 done, 1 failed,
2 wrong usage.
"""
import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REOPENED = 3  # calls of each network of which the median is taken


def call(*command):
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr.strip()}")
    return done.stdout


def size(text):
    number, unit = re.fullmatch(r"([\d.]+)(MiB|GiB|KiB|)", text).groups()
    return int(float(number) * {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit])


def drop(path):
    """Takes a file out of the page cache, as far as the system does it."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Bench:
    def __init__(self, a):
        self.a = a
        self.results = {}
        names = sorted(path.stem for path in a.models.glob("*.onnx"))
        self.names = [name for name in names if not a.only or name in a.only.split(",")]
        if not self.names:
            raise SystemExit("no models")
        if a.sequence:
            parts = [part.split("*") for part in a.sequence.split()]
            self.order = [part[0] for part in parts for _ in range(int(part[1]) if len(part) > 1 else 1)]
            self.names = sorted(set(self.order))
        else:
            self.order = self.names * a.calls
            random.Random(a.seed).shuffle(self.order)

    def flags(self):
        return ["--io", self.a.io] + (["--adapter", self.a.adapter] if self.a.adapter else [])

    def compile(self, name, bundle, budget=None):
        """Compiles a network; with a budget below the least, for the least."""
        command = [self.a.bin / "flashmem-compile", self.a.models / f"{name}.onnx", "-o", bundle, "-q", "--weights",
                   self.a.weights, "--device", self.a.device]
        command = [str(part) for part in command + (["--budget", budget] if budget else ["--page", self.a.page])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        least = re.search(r"smallest feasible budget: (\d+)", done.stderr)
        if done.returncode != 0 and least:
            return self.compile(name, bundle, int(least.group(1)))
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr.strip()}")
        return json.loads(call(self.a.bin / "flashmem-compile", "inspect", bundle, "--json"))

    def linked(self, what, budget, announced):
        app = self.a.work / "app.fmplan"
        members = [f"{name}={self.a.work / name}.fmplan" for name in self.names]
        calls = ",".join(f"{name}={self.order.count(name)}" for name in self.names)
        command = [self.a.bin / "flashmem-compile", "link", *members, "-o", app, "--calls", calls, "--device", self.a.device]
        print(call(*command, *(["--budget", budget] if budget else [])), file=sys.stderr)
        drop(app)
        inputs = [part for name in self.names for part in ("--inputs", f"{name}={self.a.models / name}.npz")]
        times = self.a.work / "times.json"
        script = self.a.work / "order.txt"
        script.write_text("\n".join(self.order) + "\n")
        quiet = [] if announced else ["--unannounced"]
        call(self.a.bin / "flashmem-run", "sequence", app, "--script", script, "--json", times, *inputs, *quiet, *self.flags())
        found = json.loads(times.read_text())
        stats = found["stats"]
        times.rename(self.a.work / f"{what}.json")
        self.add(what, sum(run["ms"] for run in found["runs"]), stats["measured_peak_bytes"], stats["declared_peak_bytes"],
                 sum(run["bytes_read"] for run in found["runs"]), sum(run["predicted_ms"] for run in found["runs"]))

    def run(self, name, bundle, repeat):
        stats = self.a.work / "stats.json"
        drop(bundle)
        call(self.a.bin / "flashmem-run", bundle, "--inputs", self.a.models / f"{name}.npz", "--repeat", repeat, "--stats", stats,
             *self.flags())
        return json.loads(stats.read_text())

    def compile_all(self):
        """Every network for linking, with an equal share of the budget, and with the whole budget."""
        share = size(self.a.budget) // len(self.names)
        skipped = self.a.skip.split(",")
        kinds = [("", None)] + [(kind, budget) for kind, budget in ((".apart", share), (".reopened", self.a.budget))
                                if kind[1:] not in skipped]
        jobs = [(name, self.a.work / f"{name}{kind}.fmplan", budget) for kind, budget in kinds for name in self.names]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda job: self.compile(*job), jobs))

    def apart(self):
        ms, peak, declared, read = 0, 0, 0, 0
        for name in self.names:
            bundle = self.a.work / f"{name}.apart.fmplan"
            stats = self.run(name, bundle, self.order.count(name))
            ms += sum(stats["runs_ms"])
            read += sum(stats["bytes_read_runs"])
            peak += stats["measured_peak_bytes"]
            declared += stats["declared_peak_bytes"]
        self.add("apart", ms, peak, declared, read)

    def reopened(self):
        ms, peak, declared, read = 0, 0, 0, 0
        for name in self.names:
            bundle = self.a.work / f"{name}.reopened.fmplan"
            runs = [self.run(name, bundle, 1) for _ in range(REOPENED)]
            calls = self.order.count(name)
            ms += calls * statistics.median(stats["load_ms"] + stats["runs_ms"][0] for stats in runs)
            read += calls * runs[0]["bytes_read"]
            peak = max(peak, *(stats["measured_peak_bytes"] for stats in runs))
            declared = max(declared, runs[0]["declared_peak_bytes"])
        self.add("reopened", ms, peak, declared, read)

    def add(self, what, ms, measured, declared, read, predicted=None):
        self.results[what] = {"ms": ms, "measured_peak_bytes": measured, "declared_peak_bytes": declared, "bytes_read": read,
                              "predicted_ms": predicted}
        (self.a.work / "networks.json").write_text(json.dumps({"order": self.order, "results": self.results}, indent=1))

    def table(self):
        print(f"{len(self.order)} runs of {', '.join(self.names)}; {self.a.weights}, budget {self.a.budget}\n")
        print("| | total | predicted | peak measured | declared | read |\n|---|---|---|---|---|---|")
        for what, row in self.results.items():
            predicted = f"{row['predicted_ms']:.0f} ms" if row["predicted_ms"] else "–"
            mib = [f"{row[key] / 2**20:.0f} MiB" for key in ("measured_peak_bytes", "declared_peak_bytes", "bytes_read")]
            print(f"| {what} | {row['ms']:.0f} ms | {predicted} | {mib[0]} | {mib[1]} | {mib[2]} |")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--models", type=Path, required=True, help="folder of NAME.onnx and NAME.npz")
    ap.add_argument("--bin", type=Path, required=True, help="folder of the release programs")
    ap.add_argument("--work", type=Path, required=True, help="scratch folder; keeps networks.json")
    ap.add_argument("--budget", default="400MiB")
    ap.add_argument("--only", help="names, separated by commas")
    ap.add_argument("--calls", type=int, default=10, help="of each network")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--sequence", help="an order instead, e.g. 'text unet*20 vae'")
    ap.add_argument("--weights", default="f16")
    ap.add_argument("--page", default="1MiB", help="size of pages of the linked bundle")
    ap.add_argument("--device", default="desktop", help="profile for the compiler")
    ap.add_argument("--io", default="buffered", help="as of flashmem-run: buffered leaves nothing in the page cache, as if memory were full")
    ap.add_argument("--adapter", help="as of flashmem-run")
    ap.add_argument("--skip", default="", help="of the five, separated by commas")
    bench = Bench(ap.parse_args())
    bench.a.work.mkdir(parents=True, exist_ok=True)
    bench.compile_all()
    steps = {"linked": lambda: bench.linked("linked", bench.a.budget, True),
             "unannounced": lambda: bench.linked("unannounced", bench.a.budget, False),
             "resident": lambda: bench.linked("resident", None, True),
             "apart": bench.apart, "reopened": bench.reopened}
    for what, step in steps.items():
        if what not in bench.a.skip.split(","):
            step()
    bench.table()


if __name__ == "__main__":
    main()
