#!/usr/bin/env bash
# networkx 3.6.1: node_connectivity of a directed graph that is weakly, not strongly, connected may be more than 0, and more than its
# edge_connectivity. Its text: "the minimum number of nodes that must be removed to disconnect G or render it trivial", of "a graph or digraph G";
# none must be removed. igraph 1.0.0 has 0, networkx's own local connectivities have 0 as their minimum, and node connectivity is at most edge
# connectivity (Whitney). Seen on 2026-11-29:
#   0 -> 1 -> 2: nodes 1, edges 0, least local 0, igraph 0; 0 <-> 1, 0 -> 2, 1 -> 2: nodes 2, edges 0, least local 0, igraph 0
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install networkx==3.6.1 igraph==1.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import igraph
import networkx


def connectivities(arcs):
    graph = networkx.DiGraph(arcs)
    pairs = [(s, t) for s in graph for t in graph if s != t and not graph.has_edge(s, t)]
    local = min((networkx.node_connectivity(graph, s, t) for s, t in pairs), default=len(graph) - 1)
    other = igraph.Graph(n=len(graph), edges=arcs, directed=True).vertex_connectivity()
    found = networkx.node_connectivity(graph), networkx.edge_connectivity(graph), local, other
    print(f"{arcs}: strongly connected {networkx.is_strongly_connected(graph)}; nodes {found[0]}, edges {found[1]}, local {local}, igraph {other}")
    return found


assert connectivities([(0, 1), (1, 2), (2, 0)]) == (1, 1, 1, 1), "a strongly connected one is right"
assert connectivities([(0, 1), (0, 2), (1, 2)]) == (0, 0, 0, 0), "so is this"
assert connectivities([(0, 1), (1, 2)]) == (1, 0, 0, 0), "the behaviour changed"
assert connectivities([(0, 1), (1, 0), (0, 2), (1, 2)]) == (2, 0, 0, 0), "the behaviour changed"
PYTHON
