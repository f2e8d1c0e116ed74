#!/usr/bin/env bash
# rustworkx 0.18.1: adjacency_matrix of an undirected graph with two loops at a node counts the first once and the others twice, so that the sum
# depends on their order. Its text: "for multigraphs parallel_edge='sum'", the default, sums the weights. Parallel edges between two nodes, one loop,
# and loops of directed graphs are summed rightly, and networkx 3.6.1's to_numpy_array has each loop once. Seen on 2026-11-29:
#   loops of 1 and 3: 7; of 3 and 1: 5; networkx 4 for both
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install rustworkx==0.18.1 networkx==3.6.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import networkx
import rustworkx

print(next(line.strip() for line in rustworkx.adjacency_matrix.__doc__.splitlines() if "sum" in line))


def matrices(edges, directed=False):
    graph = (rustworkx.PyDiGraph if directed else rustworkx.PyGraph)()
    graph.add_nodes_from([0, 1])
    graph.add_edges_from(edges)
    other = (networkx.MultiDiGraph if directed else networkx.MultiGraph)()
    other.add_nodes_from([0, 1])
    other.add_weighted_edges_from(edges)
    found = rustworkx.adjacency_matrix(graph, float).tolist(), networkx.to_numpy_array(other).tolist()
    print(f"{edges}, directed {directed}: rustworkx {found[0]}, networkx {found[1]}")
    return found


for edges, directed in (([(0, 1, 1), (0, 1, 3)], False), ([(0, 0, 3)], False), ([(0, 0, 1), (0, 0, 3)], True)):
    found, other = matrices(edges, directed)
    assert found == other, "both sum parallel edges, one loop, and loops of directed graphs"
for weights, wrong in (((1, 3), 7), ((3, 1), 5)):
    found, other = matrices([(0, 0, weight) for weight in weights])
    assert other == [[4, 0], [0, 0]] and found == [[wrong, 0], [0, 0]], "the behaviour changed"
PYTHON
