"""LSTM, GRU, RNN and Scan over short sequences.

Deliberately not here: sequence lengths that differ, and activations other than the standard ones.
"""
import numpy as np
from builder import single, w, x


def small(rng, shape):
    return (rng.standard_normal(shape) / 4).astype(np.float32)


def c(*shape):
    return w(*shape, draw=small)


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
