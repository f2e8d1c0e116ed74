#!/usr/bin/env bash
# ml_dtypes 0.6.0 on NumPy 2.4.6: numpy.sort of bfloat16 and 8-bit floats compares NaN as the plain "less" does, so that an array with a NaN comes
# back unsorted, and unique and median with it. NumPy's text has NaN sorted to the end, which it does for its own floats. Seen on
# 2026-11-29, sort of (2, NaN, 1, 4, 0.5):
#   float16: 0.5, 1, 2, 4, NaN; bfloat16, float8_e4m3fn, float8_e5m2: 2, NaN, 0.5, 1, 4
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install ml_dtypes==0.6.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import ml_dtypes
import numpy as np

numbers = np.array([2, np.nan, 1, 4, 0.5], np.float32)
expected = np.array([0.5, 1, 2, 4, np.nan])
for kind in (np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2):
    array = numbers.astype(kind)
    found = np.sort(array).astype(np.float32)
    print(f"{np.dtype(kind).name}: sort {found}, unique {np.unique(array).astype(np.float32)}")
    finite = np.sort(array[np.isfinite(numbers)]).astype(np.float32)
    assert finite.tolist() == expected[:4].tolist(), "without NaN it is sorted"
    assert np.array_equal(found, expected, equal_nan=True) == (kind is np.float16), "the behaviour changed"
PYTHON
