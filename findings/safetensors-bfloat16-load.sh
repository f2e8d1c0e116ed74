#!/usr/bin/env bash
# safetensors 0.8.0, safetensors.numpy: `save` takes bfloat16 and 8-bit floats of ml_dtypes 0.6.0 and writes the format's BF16 and F8_E4M3; `load`
# raises a KeyError for the same bytes, so that NumPy cannot read what it wrote. Seen on 2026-11-29:
#   bfloat16: header says BF16, load: KeyError 'BF16'; float8_e4m3fn: F8_E4M3, KeyError 'F8_E4M3'; float16: loaded
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install safetensors==0.8.0 ml_dtypes==0.6.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import json

import ml_dtypes
import numpy as np
from safetensors.numpy import load, save


def round_trip(dtype):
    x = np.arange(4).astype(dtype)
    data = save({"x": x})
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert data.endswith(x.tobytes()), "the bytes are those of the array"
    try:
        said = "loaded" if np.array_equal(load(data)["x"], x) else "changed"
    except KeyError as error:
        said = f"KeyError {error}"
    print(f"{np.dtype(dtype).name}: written as {header['x']['dtype']}, {said}")
    return header["x"]["dtype"], said


assert round_trip(np.float16) == ("F16", "loaded"), "float16 is right"
assert round_trip(ml_dtypes.bfloat16) == ("BF16", "KeyError 'BF16'"), "the behaviour changed"
assert round_trip(ml_dtypes.float8_e4m3fn) == ("F8_E4M3", "KeyError 'F8_E4M3'"), "the behaviour of 8-bit floats changed"
PYTHON
