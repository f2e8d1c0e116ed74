#!/usr/bin/env bash
# scipy 1.17.1, scipy.optimize.milp (HiGHS 1.12.0 inside): maximise x + y for integers from 0 to 5 with 2^24 x + y <= 3 * 2^24 - 1. All numbers
# are exact in f64, and 0, 0 fits. The answer is "infeasible"; without presolve it is x = 2.9999996 as an integer. highspy 1.16.0, a newer
# HiGHS, finds the best, 2 and 5, as a walk over all 36 pairs does. Seen on 2026-11-29:
#   2^22: x 2, y 5; 2^24: infeasible, without presolve 2.99999964 and 5, "Optimal"; highspy: 2, 5
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install scipy==1.17.1 highspy==1.16.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import highspy
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp


def best(factor):
    return max(((x, y) for x in range(6) for y in range(6) if factor * x + y <= 3 * factor - 1), key=sum)


def by_scipy(factor, presolve=True):
    rows = LinearConstraint([[factor, 1]], ub=3 * factor - 1)
    found = milp([-1, -1], constraints=rows, integrality=[1, 1], bounds=Bounds(0, 5), options={"presolve": presolve})
    values = None if found.x is None else found.x.tolist()
    print(f"factor {factor}, presolve {presolve}: status {found.status}, {values}, {found.message}")
    return found.status, values


def by_highspy(factor):
    solver = highspy.Highs()
    solver.silent()
    x, y = (solver.addIntegral(lb=0, ub=5) for _ in range(2))
    solver.addConstr(factor * x + y <= 3 * factor - 1)
    solver.maximize(x + y)
    return solver.getModelStatus(), list(solver.getSolution().col_value)


assert best(2**22) == best(2**24) == (2, 5), "the best of all pairs"
assert by_scipy(2**22) == (0, [2, 5]), "smaller factors are right"
assert by_highspy(2**24) == (highspy.HighsModelStatus.kOptimal, [2, 5]), "the newer HiGHS is right"
assert by_scipy(2**24) == (2, None), "the behaviour changed"
status, (x, y) = by_scipy(2**24, presolve=False)
assert status == 0 and 1e-8 < abs(x - round(x)) < 1e-6, "the behaviour without presolve changed"
PYTHON
