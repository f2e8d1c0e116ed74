#!/usr/bin/env python3
"""Writes the operator tests: many ONNX models of a few nodes, with ONNX Runtime's results.

    make_ops.py [--list] [--only SUBSTRING]

NAME.onnx and NAME.npz go beside this script; the same versions (../requirements.txt) and machine
give the same bytes. Without --only, models of cases that no longer exist are removed. The cases are
in cases/, how a model is built and run in builder.py.

Deliberately not here: whole networks (../export.py) and anything about what FlashMem supports; a
case may well be one that the compiler refuses.
"""
import argparse
from pathlib import Path

import cases

FOLDER = Path(__file__).resolve().parent
TOTAL_LIMIT_BYTES = 2_000_000


def models():
    """Every case, in order; names are unique."""
    seen = set()
    for group in cases.ALL:
        for m in group.cases():
            if m.name in seen:
                raise ValueError(f"two cases are called {m.name}")
            seen.add(m.name)
            yield m


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--list", action="store_true", help="print the cases' names")
    ap.add_argument("--only", default="", help="only cases whose name contains this")
    a = ap.parse_args()
    chosen = [m for m in models() if a.only in m.name]
    if a.list:
        print("\n".join(m.name for m in chosen))
        return
    if not a.only:
        names = {m.name for m in chosen}
        for path in [*FOLDER.glob("*.onnx"), *FOLDER.glob("*.npz")]:
            if path.stem not in names:
                path.unlink()
    total_bytes = sum(m.write(FOLDER) for m in chosen)
    print(f"{len(chosen)} models, {total_bytes} bytes")
    if total_bytes > TOTAL_LIMIT_BYTES:
        raise SystemExit(f"more than {TOTAL_LIMIT_BYTES} bytes: make some cases smaller")


if __name__ == "__main__":
    main()
