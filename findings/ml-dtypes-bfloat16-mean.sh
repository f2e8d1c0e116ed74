#!/usr/bin/env bash
# ml_dtypes 0.6.0 on NumPy 2.4.6: numpy.mean, sum and var of bfloat16 arrays add up in bfloat16, one after the other, and stop growing at 256:
# the mean of 1000 ones is 0.2559. NumPy's mean computes float16, with three more bits, in float32 by its text, and is right. Seen on
# 2026-11-29:
#   mean of 1000 ones: bfloat16 0.255859, float16 1; with dtype=float32 both 1
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install ml_dtypes==0.6.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import ml_dtypes
import numpy as np

found = {}
for kind in (np.float16, ml_dtypes.bfloat16):
    ones = np.ones(1000, kind)
    found[kind] = float(ones.mean())
    print(f"{np.dtype(kind).name}: mean {found[kind]}, sum {ones.sum()}, mean with dtype=float32 {ones.mean(dtype=np.float32)}")
    assert ones.mean(dtype=np.float32) == 1, "in float32 it is right"
assert found[np.float16] == 1, "float16 is right"
assert found[ml_dtypes.bfloat16] == 256 / 1000 // 2**-10 * 2**-10, "the behaviour changed"
PYTHON
