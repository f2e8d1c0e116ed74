#!/usr/bin/env python3
"""Exports a model of the zoo to ONNX with seeded random weights, and runs it once as a reference.

    export.py MODEL OUT.onnx [--tiny] [--seq N] [--fp16] [--external] [--json]
    export.py --list

Exporter: legacy TorchScript `torch.onnx.export(dynamo=False)`, opset 17, static shapes, eager
attention, then the clean-up of graph_cleanup.py. Written:

    OUT.onnx       the model
    OUT.onnx.data  weights, each 4 KiB aligned, in first-use order (only above 1.8 GB, or --external)
    OUT.npz        inputs and ONNX Runtime outputs, keyed by the graph's own input and output names
    OUT.json       with --json: parameter count, sizes, distance between torch and ONNX Runtime

Exit status 1 when ONNX Runtime and the unmodified torch module disagree. The same arguments give
the same weights; see requirements.txt for the versions. Deliberately not here: the architectures
(architectures.py), trained weights, dynamic shapes, quantisation.
"""
import argparse
import gc
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
warnings.filterwarnings("ignore")

import numpy as np
import onnx
import torch
from architectures import MODELS, SEED, no_init, seed_weights
from graph_cleanup import OPSET, clean, save, trace
from onnx import helper
from reference import run_ort

# Largest absolute difference between torch and ONNX Runtime, relative to the largest output: two
# float32 implementations differ by summation order only; float16 ones round every activation.
TOLERANCE_F32 = 1e-3
TOLERANCE_F16 = 3e-2
CHECKER_LIMIT = int(5e8)  # bytes of weights; onnx.checker holds several copies of the model


def peak_rss_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def build(a):
    """(module with its weights, Spec)"""
    with no_init():
        spec = MODELS[a.model](a)
    m = spec.module.eval()
    if a.fp16:
        m.half()
    seed_weights(m, spec.gain)
    if spec.calibrate:
        if a.fp16:
            m.float()
        spec.calibrate(m)
        if a.fp16:
            m.half()
    return m.eval(), spec


def compare(names, torch_outputs, ort_outputs, tolerance):
    """{output name: shape, statistics, distance, ok}"""
    report = {}
    for name, r, y in zip(names, torch_outputs, ort_outputs):
        r32, y32 = r.astype(np.float32), y.astype(np.float32)
        distance, scale = np.abs(r32 - y32).max(), np.abs(r32).max()
        ok = np.isfinite(y).all() and r.shape == y.shape and distance <= scale * tolerance and y32.std() > 1e-3
        report[name] = dict(shape=list(y.shape), dtype=str(y.dtype), max_abs=float(scale), std=float(y32.std()),
                            max_abs_err=float(distance), rel_err=float(distance / max(scale, 1e-9)), ok=bool(ok))
    return report


def export(a):
    """Writes the files; gives the description that --json stores."""
    start = time.time()
    m, spec = build(a)
    inputs = {k: v.astype(np.float16) if a.fp16 and v.dtype == np.float32 else v for k, v in spec.inputs.items()}
    args = tuple(torch.from_numpy(v) for v in inputs.values())
    torch_params = sum(p.numel() for p in m.parameters())
    torch_outputs = [o.numpy() for o in m(*args)]  # the library's own forward, before simplify

    if spec.simplify:
        spec.simplify(m)
    model, weights = trace(m, args, list(inputs), spec.outputs, torch_outputs)
    param_shapes = {n: tuple(p.shape) for n, p in m.named_parameters()}
    names, config = spec.outputs, json.loads(json.dumps(spec.config, default=str))
    del m, spec, args
    gc.collect()
    clean(model, weights, param_shapes, a.fp16)
    model.graph.name = a.model + ("-tiny" if a.tiny else "")
    helper.set_model_props(model, {"zoo.model": model.graph.name, "zoo.seed": str(SEED)})
    nodes = len(model.graph.node)
    if a.tiny and not a.external:  # shapes of intermediate tensors are a third of a tiny file, and nobody reads them
        del model.graph.value_info[:]
    a.out.parent.mkdir(parents=True, exist_ok=True)
    weight_bytes = save(model, a.out, weights, a.external)
    del model, weights
    gc.collect()
    if weight_bytes < CHECKER_LIMIT:
        onnx.checker.check_model(str(a.out), full_check=True)

    ort_outputs = run_ort(a.out, inputs, names)
    np.savez(a.out.with_suffix(".npz"), **inputs, **dict(zip(names, ort_outputs)))
    outputs = compare(names, torch_outputs, ort_outputs, TOLERANCE_F16 if a.fp16 else TOLERANCE_F32)
    return dict(model=a.model, tiny=a.tiny, dtype="float16" if a.fp16 else "float32", opset=OPSET,
                torch_params=torch_params, weight_bytes=weight_bytes, file_bytes=a.out.stat().st_size, nodes=nodes,
                inputs={k: [str(v.dtype), list(v.shape)] for k, v in inputs.items()}, outputs=outputs,
                ok=all(o["ok"] for o in outputs.values()), peak_rss_mib=peak_rss_mib(),
                seconds=round(time.time() - start, 1), torch=torch.__version__, config=config)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", nargs="?", choices=MODELS)
    ap.add_argument("out", nargs="?", type=Path)
    ap.add_argument("--tiny", action="store_true", help="same architecture, few layers, small width")
    ap.add_argument("--seq", type=int, help="tokens (GPT-Neo: 128, Whisper decoder: 32)")
    ap.add_argument("--fp16", action="store_true", help="half-precision weights and activations")
    ap.add_argument("--external", action="store_true", help="weights in OUT.onnx.data whatever their size")
    ap.add_argument("--json", action="store_true", help="also write OUT.json")
    ap.add_argument("--list", action="store_true", help="print the models' names")
    a = ap.parse_args()
    if a.list:
        print("\n".join(MODELS))
        return
    if not a.model or not a.out:
        ap.error("MODEL and OUT.onnx are required")
    torch.manual_seed(SEED)
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    import transformers

    transformers.logging.set_verbosity_error()
    meta = export(a)
    if a.json:
        a.out.with_suffix(".json").write_text(json.dumps(meta, indent=1) + "\n")
    worst = max(o["rel_err"] for o in meta["outputs"].values())
    print(f"{'ok  ' if meta['ok'] else 'FAIL'} {a.model}{' tiny' if a.tiny else ''} params={meta['torch_params'] / 1e6:.2f}M "
          f"weights={meta['weight_bytes'] / 1e6:.1f}MB nodes={meta['nodes']} rel_err={worst:.1e} "
          f"rss={meta['peak_rss_mib']}MiB {meta['seconds']}s")
    sys.exit(not meta["ok"])


if __name__ == "__main__":
    main()
