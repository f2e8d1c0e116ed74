#!/usr/bin/env bash
# scipy 1.17.1, scipy.optimize.milp: of a knapsack with whole numbers that are exact in f64, "Optimal" with status 0 may be a solution that is not:
# HiGHS stops within a relative gap of 1e-4, which at values of 700,000 is up to 70 whole units, and scipy's documentation names no default. With
# mip_rel_gap=0 the best comes out. All 4096 choices are walked to know it. Seen on 2026-11-29:
#   found 731473, best 731495, mip_gap 8.7e-05; with mip_rel_gap=0: 731495
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

weights = np.array([13528, 11976, 18488, 12442, 17803, 19286, 2663, 2373, 10548, 10499, 11545, 15137])
worth = np.array([135295, 119768, 184914, 124439, 178076, 192863, 26665, 23766, 105493, 104994, 115465, 151389])
limit = 73144
choices = (np.arange(2**12)[:, None] >> np.arange(12)) & 1
best = int((choices @ worth)[choices @ weights <= limit].max())


def found(**options):
    rows = LinearConstraint(weights[None], ub=limit)
    result = milp(-worth, constraints=rows, integrality=np.ones(12), bounds=Bounds(0, 1), options=options)
    chosen = np.round(result.x).astype(int)
    assert result.status == 0 and chosen @ weights <= limit, "said to be optimal, and fits"
    print(f"{options}: {chosen @ worth} of {best}, gap {result.mip_gap:.1e}, {result.message}")
    return int(chosen @ worth)


assert found(mip_rel_gap=0) == best, "with a gap of 0 the best is found"
assert found() < best, "the behaviour changed"
PYTHON
