"""`Attention` of ONNX 23 to 25, and attention written out, where masks, caps and counts of keys matter.

Needs onnx 1.23 and ONNX Runtime 1.32: older ones answer otherwise (docs/semantics.md says how). Deliberately not here: layouts of
attention in exported networks (blocks.py).
"""
import numpy as np
from onnx.reference import ReferenceEvaluator

from builder import Model, booleans, const, normal, x

INF = np.float32(np.inf)
LOWEST = float(np.finfo(np.float32).min)

# Row 1 sees no key, row 2 sees all.
SEEN = np.array([[1, 0, 1, 0, 0, 1], [0] * 6, [1] * 6, [0, 0, 0, 0, 0, 1]], bool)


def fixed(array):
    """A runtime input with these values."""
    return x(*np.shape(array), draw=lambda *_: np.array(array))


def poisoned(rng, shape):
    """Random values with a NaN in the second row of the first head."""
    values = normal(rng, shape)
    values[0, 0, 1, 0] = np.nan
    return values


def attention(name, mask="", past=0, nonpad="", heads=(2, 2), rows=4, keys=6, size=4, opset=24, draw=normal, keys_draw=None,
              outputs=1, batch=2, joined=False, reference=False, **attrs):
    m = Model(f"attention_onnx_{name}", opset)
    if joined:
        shapes = [(batch, n, h * size) for n, h in ((rows, heads[0]), (keys, heads[1]), (keys, heads[1]))]
        attrs |= {"q_num_heads": heads[0], "kv_num_heads": heads[1]}
    else:
        shapes = [(batch, h, n, size) for n, h in ((rows, heads[0]), (keys, heads[1]), (keys, heads[1]))]
    q, k, v = (m.add(x(*s, draw=d)) for s, d in zip(shapes, (draw, keys_draw or draw, draw)))
    pasts = [x(batch, heads[1], past, size, draw=draw) for _ in range(2)] if past else ["", ""]
    operands = [q, k, v, mask, *pasts, nonpad]
    while isinstance(operands[-1], str) and not operands[-1]:
        operands.pop()
    # ONNX Runtime wants present keys and values where there are past ones.
    outputs = max(outputs, 3) if past else outputs
    made = m.op("Attention", *operands, outputs=outputs, **attrs)
    m.result(*([made] if outputs == 1 else made))
    return m.by_reference() if reference else m


def one_column():
    """Opset 23 broadcasts a mask of one column, as the operator's function does; the reference takes it for a short mask."""
    m = attention("mask_one_key", x(4, 1), opset=23)
    m.evaluate = lambda proto: dict(zip(m.outputs, ReferenceEvaluator(proto).run(
        m.outputs, m.feeds | {"x3": np.broadcast_to(m.feeds["x3"], (4, 6))})))
    return m


def refused(name, opset=25, **attrs):
    """A form without a defined result; the stored one is not looked at."""
    m = attention(f"refused_{name}", opset=opset, batch=1, **attrs).not_standard()
    m.evaluate = lambda _: {"y0": np.zeros((1, 2, 4, 4), np.float32)}
    return m


def scores_output(name, mode, **attrs):
    """The fourth output; the second and third are present keys and values."""
    return attention(f"scores_{name}", outputs=4, past=2, qk_matmul_output_mode=mode, **attrs)


def written_out(name, hide, size=4, factor=1.0, guard=False):
    """softmax(hide(q k^T)) v with a run-time mask that hides all keys of a row; `guard` replaces NaN by 0 as optimum does."""
    m = Model(f"attention_rows_{name}")
    q, k, v = m.add(x(1, 2, 4, size)), m.add(x(1, 2, 6, size)), m.add(x(1, 2, 6, size))
    scores = m.op("MatMul", q, m.op("Transpose", k, perm=[0, 1, 3, 2]))
    scores = hide(m, m.op("Mul", scores, const(factor * size**-0.5, "f4")))
    weights = m.op("Softmax", scores, axis=-1)
    if guard:
        weights = m.op("Where", m.op("IsNaN", weights), const(0.0, "f4"), weights)
    return m.result(m.op("MatMul", weights, v)).not_finite()


def replaced(fill):
    return lambda m, scores: m.op("Where", fixed(SEEN), scores, const(fill, "f4"))


def added(fill):
    return lambda m, scores: m.op("Add", scores, m.op("Where", fixed(SEEN), const(0.0, "f4"), const(fill, "f4")))


def twice(m, scores):
    """A bias, then a replacement, then another mask that hides the rest of row 3."""
    scores = m.op("Where", fixed(SEEN), m.op("Add", scores, x(1, 2, 4, 6)), const(-1e9, "f4"))
    return m.op("Add", scores, fixed(np.array([[0], [0], [0], [-1e9]], np.float32) * np.ones(6, np.float32)))


def capped(m, scores):
    bent = m.op("Mul", m.op("Tanh", m.op("Div", scores, const(2.0, "f4"))), const(2.0, "f4"))
    return replaced(-INF)(m, bent)


def cases():
    floats = np.where(SEEN, np.float32(0.5), -INF)
    yield attention("mask_bool_rows", fixed(SEEN))
    yield attention("mask_float_rows", fixed(floats))
    yield attention("mask_rank3", x(2, 4, 6, draw=booleans), opset=23)
    yield attention("mask_rank4", x(2, 2, 4, 6), is_causal=1)
    yield one_column()
    yield attention("mask_short_bool", fixed(SEEN[:, :4]), reference=True)
    yield attention("mask_short_float", fixed(floats[:, :3]), is_causal=1, reference=True)
    yield attention("mask_row", fixed(SEEN[0]), opset=25, reference=True)
    yield attention("softcap_mask", fixed(SEEN), softcap=0.5)
    yield attention("softcap_causal", softcap=2.0, is_causal=1, scale=1.5)
    yield attention("heads_grouped", heads=(4, 2), is_causal=1, past=2)
    yield attention("heads_joined", fixed(SEEN), heads=(4, 2), joined=True, rows=4, keys=6)
    yield attention("head_72", fixed(SEEN), size=72, batch=1)
    yield attention("causal_cross", is_causal=1, rows=7, keys=3)
    yield attention("nonpad", nonpad=fixed(np.array([2, 6])))
    yield attention("nonpad_causal", nonpad=fixed(np.array([2, 5])), is_causal=1)
    yield attention("nonpad_mask", x(4, 6), nonpad=fixed(np.array([0, 5])))
    yield attention("window", opset=25, left_window_size=1, right_window_size=2)
    yield attention("window_past", opset=25, left_window_size=2, right_window_size=0, past=3)
    yield attention("window_nonpad", nonpad=fixed(np.array([3, 6])), opset=25, left_window_size=1, is_causal=1)
    yield attention("nan_key", fixed(SEEN), keys_draw=poisoned).not_finite()
    yield attention("nan_key_causal", is_causal=1, keys_draw=poisoned).not_finite()
    yield refused("causal", is_causal=2)
    yield refused("scale", scale=-1.0)
    yield refused("window", left_window_size=-2)
    yield refused("output_mode", qk_matmul_output_mode=4)
    yield refused("precision", softmax_precision=7)
    yield scores_output("raw", 0, softcap=2.0, is_causal=1)
    yield scores_output("capped", 1, softcap=2.0, is_causal=1)
    yield scores_output("masked", 2, softcap=2.0, mask=x(4, 8))
    yield scores_output("weights", 3, mask=fixed(np.concatenate([SEEN, SEEN[:, :2]], 1)))
    for name, fill in (("inf", -INF), ("lowest", LOWEST), ("1e9", -1e9)):
        yield written_out(f"replaced_{name}", replaced(fill), factor=64.0)
        yield written_out(f"added_{name}", added(fill))
    yield written_out("head_72", replaced(-INF), size=72)
    yield written_out("replaced_then_added", twice)
    yield written_out("capped", capped)
    yield written_out("guarded", replaced(-INF), guard=True)
