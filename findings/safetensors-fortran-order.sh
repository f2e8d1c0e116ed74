#!/usr/bin/env bash
# safetensors 0.8.0, safetensors.numpy: `save` writes the memory of an array as it lies there. Of an array in Fortran order, contiguous and dense
# as the documentation asks for, that is the transpose under the shape that it does not have: loaded again, or by any other reader of the format,
# which is row-major, elements have changed places, without an error. 0.7.0 wrote them in row-major order. Seen on 2026-11-29:
#   [[0, 1, 2], [3, 4, 5]] in Fortran order: 0.8.0 loads [[0, 3, 1], [4, 2, 5]], 0.7.0 the array
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import safetensors
from safetensors.numpy import load, save

rows = np.arange(6, dtype=np.float32).reshape(2, 3)
columns = np.asfortranarray(rows)
assert columns.flags.f_contiguous and np.array_equal(rows, columns), "the same array"
found = [load(save({"x": array}))["x"].tolist() for array in (rows, columns)]
print(f"safetensors {safetensors.__version__}: row-major {found[0]}, Fortran order {found[1]}")
assert found[0] == rows.tolist(), "row-major arrays are right"
changed = columns.ravel(order="K").reshape(2, 3).tolist() == [[0, 3, 1], [4, 2, 5]]
expected = [[0, 3, 1], [4, 2, 5]] if safetensors.__version__ == "0.8.0" else rows.tolist()
assert changed and found[1] == expected, "the behaviour changed"
PYTHON
