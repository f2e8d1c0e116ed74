#!/usr/bin/env bash
# OR-tools 9.15.6755, pywraplp with its solver SAT: of an integer program with whole numbers that are exact in f64 and far within 64 bits it says
# OPTIMAL, and the solution violates a constraint by 5. CP-SAT, which it calls, is right when it is given the same program. Seen on
# 2026-11-29, least switch y of 0 and 1 with x <= M * y and x >= 5, by hand x = 5 and y = 1:
#   M = 10^6: both x = 5, y = 1; M = 10^7: SAT optimal with x = 0, y = 0, CP-SAT x = 5, y = 1
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install ortools==9.15.6755
"$folder/venv/bin/python" - <<'PYTHON'
from ortools.linear_solver import pywraplp
from ortools.sat.python import cp_model


def by_wrapper(most):
    solver = pywraplp.Solver.CreateSolver("SAT")
    x, y = solver.IntVar(0, most, "x"), solver.BoolVar("y")
    solver.Add(x <= most * y)
    solver.Add(x >= 5)
    solver.Minimize(y)
    assert solver.Solve() == pywraplp.Solver.OPTIMAL, "said to be optimal"
    return round(x.solution_value()), round(y.solution_value())


def by_cp_sat(most):
    model, solver = cp_model.CpModel(), cp_model.CpSolver()
    x, y = model.new_int_var(0, most, "x"), model.new_bool_var("y")
    model.add(x <= most * y)
    model.add(x >= 5)
    model.minimize(y)
    assert solver.solve(model) == cp_model.OPTIMAL, "said to be optimal"
    return solver.value(x), solver.value(y)


for most in (10**6, 10**7):
    print(f"M = {most}: wrapper x, y = {by_wrapper(most)}, CP-SAT {by_cp_sat(most)}")
    assert by_cp_sat(most) == (5, 1), "CP-SAT is right"
assert by_wrapper(10**6) == (5, 1), "a smaller M is right"
assert by_wrapper(10**7) == (0, 0), "the behaviour changed"
PYTHON
