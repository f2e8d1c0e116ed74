#!/usr/bin/env bash
# networkx 3.6.1: graph_edit_distance lets a self loop stand for any edge at its node, so that graphs which are not isomorphic have distance 0,
# where its text has the edit path "transforming graph G1 to graph isomorphic to G2". A deletion and an insertion are needed, 2; a
# search over all ways to match nodes decides. Seen on 2026-11-29, three nodes:
#   edge (0, 0) against edge (0, 1): networkx 0, by search 2, is_isomorphic False
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install networkx==3.6.1 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
from itertools import permutations

import networkx


def distance(a, b):
    """The least count of edges and nodes to insert and delete, over all ways to match equally many nodes."""
    kept = []
    for order in permutations(b):
        matched = dict(zip(a, order))
        mapped = {frozenset((matched[u], matched[v])) for u, v in a.edges}
        kept.append(len(mapped & {frozenset(edge) for edge in b.edges}))
    return a.number_of_edges() + b.number_of_edges() - 2 * max(kept)


def graph(edges):
    made = networkx.Graph()
    made.add_nodes_from(range(3))
    made.add_edges_from(edges)
    return made


wrong = 0
cases = [([(0, 0)], [(0, 1)]), ([(0, 0), (1, 2)], [(0, 1), (1, 2)]), ([(0, 1), (1, 2)], [(0, 1)]), ([(0, 0)], [(1, 1)])]
for first, second in cases:
    a, b = graph(first), graph(second)
    found, exact = networkx.graph_edit_distance(a, b), distance(a, b)
    print(f"{first} and {second}: networkx {found}, by search {exact}, isomorphic {networkx.is_isomorphic(a, b)}")
    assert (exact == 0) == networkx.is_isomorphic(a, b), "distance 0 is isomorphism"
    wrong += found != exact
assert wrong == 2 and networkx.graph_edit_distance(graph([(0, 0)]), graph([(0, 1)])) == 0, "the behaviour changed"
PYTHON
