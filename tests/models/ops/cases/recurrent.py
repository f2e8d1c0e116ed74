"""LSTM, GRU and RNN over short sequences, If with a constant condition, and Scan.

Deliberately not here: sequence lengths that differ, and activations other than the standard ones (misfits.py).
"""
import numpy as np
from builder import Model, const, single, w, x
from onnx import TensorProto, helper


def small(rng, shape):
    return (rng.standard_normal(shape) / 4).astype(np.float32)


def c(*shape):
    return w(*shape, draw=small)


def branch():
    """Two If nodes whose branches use the same names; one reads a value from outside."""
    m = Model("if_constant_condition")
    image = m.add(x(2, 3))

    def graph(op, operands):
        node = helper.make_node(op, operands, ["inner"])
        last = helper.make_node("Neg", ["inner"], ["result"])
        return helper.make_graph([node, last], op, [], [helper.make_tensor_value_info("result", TensorProto.FLOAT, [2, 3])])

    first = m.op("If", const(True, bool), then_branch=graph("Exp", [image]), else_branch=graph("Sin", [image]))
    second = m.op("If", const(False, bool), then_branch=graph("Exp", [image]), else_branch=graph("Mul", [image, first]))
    return m.result(second)


def scan(name, op, **attributes):
    """A Scan whose body has an operator that is rewritten."""
    m = Model(f"scan_{name}")
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in ["state", "now", "next", "out"]]
    bent = helper.make_node(op, ["now"], ["bent"], **attributes)
    total = helper.make_node("Add", ["state", "bent"], ["next"])
    copied = helper.make_node("Identity", ["next"], ["out"])
    body = helper.make_graph([bent, total, copied], "body", info[:2], info[2:])
    return m.result(*m.op("Scan", x(3), x(4, 3), outputs=2, body=body, num_scan_inputs=1))


def cases():
    yield single("lstm", "LSTM", x(5, 2, 3), c(1, 16, 3), c(1, 16, 4), c(1, 32), outputs=3, hidden_size=4)
    yield single("lstm_both_ways", "LSTM", x(4, 1, 3), c(2, 8, 3), c(2, 8, 2), c(2, 16), outputs=3, hidden_size=2,
                 direction="bidirectional")
    yield single("lstm_peepholes", "LSTM", x(3, 2, 2), c(1, 12, 2), c(1, 12, 3), c(1, 24), "", x(1, 2, 3), x(1, 2, 3),
                 c(1, 9), outputs=3, hidden_size=3)
    yield single("gru", "GRU", x(4, 2, 3), c(1, 12, 3), c(1, 12, 4), c(1, 24), outputs=2, hidden_size=4)
    yield single("gru_linear_before_reset", "GRU", x(6, 2, 3), c(1, 9, 3), c(1, 9, 3), c(1, 18), outputs=2,
                 hidden_size=3, linear_before_reset=1)
    yield single("rnn", "RNN", x(3, 2, 4), c(1, 3, 4), c(1, 3, 3), outputs=2, hidden_size=3)
    yield branch()
    yield scan("celu", "Celu", alpha=2.0)
    yield scan("logsoftmax", "LogSoftmax", axis=-1)
