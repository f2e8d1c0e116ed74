#!/usr/bin/env bash
# PuLP 3.3.2 with its CBC: the values of a solution go through a text file with eight digits, so that of an integer program a whole number of more
# digits comes back as another one, as "Optimal", which PuLP's own check of the solution refuses. By HiGHS (highspy 1.16.0), which
# PuLP calls as a library, it comes back as it is. Seen on 2026-11-29, least whole x with x = 123456789:
#   CBC: Optimal, 123456790, valid() False; HiGHS: Optimal, 123456789, valid() True
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pulp==3.3.2 highspy==1.16.0
"$folder/venv/bin/python" - <<'PYTHON'
import pulp


def solved(solver, number):
    problem = pulp.LpProblem("finding", pulp.LpMinimize)
    x = pulp.LpVariable("x", 0, None, cat="Integer")
    problem += x
    problem += x == number
    problem.solve(solver)
    return pulp.LpStatus[problem.status], x.value(), problem.valid()


cbc, highs = pulp.PULP_CBC_CMD(msg=False), pulp.HiGHS(msg=False)
for number in (12345678, 123456789, 1234567891):
    print(f"{number}: CBC {solved(cbc, number)}, HiGHS {solved(highs, number)}")
assert solved(cbc, 12345678) == ("Optimal", 12345678, True), "eight digits are right"
assert solved(highs, 1234567891) == ("Optimal", 1234567891, True), "HiGHS is right"
assert solved(cbc, 123456789) == ("Optimal", 123456790, False), "the behaviour changed"
assert solved(cbc, 1234567891) == ("Optimal", 1234567900, False), "the behaviour of ten digits changed"
PYTHON
