"""Attention over caches and rotary embeddings as ONNX Runtime's own operators, which its builder of language models writes.

Deliberately not here: windows, which ONNX Runtime makes one key longer before 1.32 (tests/decoders has them), and prompts padded on
the right.
"""
import numpy as np

from builder import Model, const, half, normal, single, w, x

DOMAIN = dict(domain="com.microsoft")


def word(*values):
    """Integers of 32 bits, known at run time."""
    array = np.array(values, np.int32)
    return x(*array.shape, draw=lambda *_: array)


def cache(valid, draw=normal):
    """A cache of which the first rows of each batch entry hold something."""
    def filled(rng, shape):
        rows = np.arange(shape[2])[None, None, :, None]
        return np.where(rows < np.array(valid)[:, None, None, None], draw(rng, shape), 0).astype(draw(rng, (1,)).dtype)
    return filled


def angles(rows, half_size):
    turns = np.arange(rows)[:, None] * 0.7 ** np.arange(half_size)[None]
    return const(np.cos(turns), np.float32), const(np.sin(turns), np.float32)


def grouped(name, q, k, v, past, valid, total, *more, heads=(4, 2), **attributes):
    """A node with its three results; `past` is a shape with the number of rows that hold something, or None."""
    m = Model(f"ms_gqa_{name}")
    shape, filled, draw = past or (None, None, None)
    pasts = ["", ""] if past is None else [x(*shape, draw=cache(filled, draw)), x(*shape, draw=cache(filled, draw))]
    operands = [q, k, v, *pasts, word(*valid), total, *more]
    return m.result(*m.op("GroupQueryAttention", *operands, outputs=3, num_heads=heads[0], kv_num_heads=heads[1], **attributes,
                          **DOMAIN))


def total(value):
    return const(value, np.int32)


def cases():
    one = [x(2, 1, 32), x(2, 1, 16), x(2, 1, 16)]
    room = ((2, 2, 6, 8), (3, 5), normal)
    yield grouped("decode", *one, room, (3, 5), total(6))
    yield grouped("total_at_run_time", *one, room, (3, 5), word(6))
    yield grouped("softcap_scale", *one, room, (3, 5), total(6), softcap=1.5, scale=0.6)
    yield grouped("smooth", *one, room, (3, 5), total(6), smooth_softmax=1)
    yield grouped("sinks", *one, room, (3, 5), total(6), "", "", "", "", w(4, draw=normal))
    yield grouped("longer", x(1, 2, 32), x(1, 2, 16), x(1, 2, 16), ((1, 2, 3, 8), (3,), normal), (4,), total(5))
    yield grouped("prompt", x(1, 5, 32), x(1, 5, 16), x(1, 5, 16), None, (4,), total(5))
    yield grouped("packed_rotary", x(1, 2, 128), "", "", ((1, 2, 6, 16), (2,), normal), (3,), total(6), *angles(16, 8),
                  do_rotary=1)
    yield grouped("packed_rotary_prompt", x(1, 3, 128), "", "", ((1, 2, 6, 16), (0,), normal), (2,), total(6), *angles(16, 8),
                  do_rotary=1)
    yield grouped("interleaved", x(1, 1, 64), x(1, 1, 32), x(1, 1, 32), ((1, 2, 6, 16), (3,), normal), (3,), total(6),
                  *angles(16, 8), do_rotary=1, rotary_interleaved=1)
    yield grouped("half", x(1, 1, 32, draw=half), x(1, 1, 16, draw=half), x(1, 1, 16, draw=half),
                  ((1, 2, 6, 8), (3,), half), (3,), total(6))
    # More keys than a tile, and heads wider than a quarter of a workgroup.
    yield grouped("long", x(1, 1, 136), x(1, 1, 136), x(1, 1, 136), ((1, 1, 350, 136), (333,), normal), (333,), total(350),
                  heads=(1, 1))
    yield grouped("refused_table", x(1, 3, 128), "", "", ((1, 2, 6, 16), (0,), normal), (2,), total(6), *angles(5, 8),
                  do_rotary=1).invalid((1, 3, 64), (1, 2, 6, 16), (1, 2, 6, 16))

    table = angles(9, 4)
    places = const([[2, 3, 0], [8, 5, 1]])
    yield single("ms_rotary", "RotaryEmbedding", x(2, 3, 16), places, *table, **DOMAIN)
    yield single("ms_rotary_4d_interleaved", "RotaryEmbedding", x(2, 2, 3, 8), places, *table, interleaved=1, **DOMAIN)
    yield single("ms_rotary_from", "RotaryEmbedding", x(2, 3, 16), x(1, draw=lambda *_: np.array([4])), *table, **DOMAIN)
    yield single("ms_rotary_part", "RotaryEmbedding", x(2, 3, 24), places, *table, num_heads=2, rotary_embedding_dim=8, **DOMAIN)

    three = [x(2, 3, 16), x(2, 5, 16), x(2, 5, 16)]
    yield single("ms_mha", "MultiHeadAttention", *three, num_heads=2, **DOMAIN)
    yield single("ms_mha_bias_scale", "MultiHeadAttention", *three, w(48, draw=normal), num_heads=4, scale=0.3, **DOMAIN)
    yield single("ms_mha_added", "MultiHeadAttention", *three, "", "", x(2, 2, 3, 5), num_heads=2, **DOMAIN)
    yield single("ms_mha_causal", "MultiHeadAttention", x(2, 3, 16), x(2, 3, 16), x(2, 3, 16), num_heads=2, unidirectional=1,
                 **DOMAIN)
    yield single("ms_mha_past", "MultiHeadAttention", x(1, 1, 16), x(1, 1, 16), x(1, 1, 16), w(48, draw=normal), "", "",
                 x(1, 2, 4, 8), x(1, 2, 4, 8), outputs=3, num_heads=2, **DOMAIN)
    yield single("ms_mha_heads_apart", "MultiHeadAttention", x(1, 1, 16), x(1, 2, 4, 8), x(1, 2, 4, 8), num_heads=2, **DOMAIN)
