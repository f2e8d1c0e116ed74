"""Small subgraphs in the form exporters write them: attention, MLPs, gates, and odd graph shapes.

Deliberately not here: whole networks (../../export.py).
"""
import numpy as np
from builder import Model, const, normal, rows, uniform, w, x

from .elementwise import MIN_F32, gelu_erf, gelu_tanh

GAIN = uniform(0.5, 1.5)


def linear(m, value, n_in, n_out, has_bias=True):
    y = m.op("MatMul", value, w(n_in, n_out, draw=rows))
    return m.op("Add", y, w(n_out)) if has_bias else y


def heads(m, value, tokens, count, size, perm):
    split = m.op("Reshape", value, const([1, tokens, count, size]))
    return m.op("Transpose", split, perm=perm)


def attend(m, q, k_transposed, v, size, mask=None):
    """softmax(q k^T / sqrt(size)) v; `mask` maps scores to masked scores."""
    scores = m.op("Mul", m.op("MatMul", q, k_transposed), const(size**-0.5, "f4"))
    scores = mask(scores) if mask else scores
    return m.op("MatMul", m.op("Softmax", scores, axis=-1), v)


def attention_heads(name, kv_tokens=6, mask=None):
    """Attention over runtime q, k, v of 2 heads x 6 tokens x 8."""
    m = Model(f"attention_{name}")
    q, k, v = m.add(x(1, 2, 6, 8)), m.add(x(1, 2, kv_tokens, 8)), m.add(x(1, 2, kv_tokens, 8))
    k_transposed = m.op("Transpose", k, perm=[0, 1, 3, 2])
    return m.result(attend(m, q, k_transposed, v, 8, mask and (lambda scores: mask(m, scores))))


def additive_mask(m, scores):
    return m.op("Add", scores, const(np.triu(np.full((1, 1, 6, 6), MIN_F32, np.float32), 1), "f4"))


def where_mask(m, scores):
    return m.op("Where", const(np.tril(np.ones((1, 1, 6, 6), bool)), bool), scores, const(MIN_F32, "f4"))


def runtime_mask(m, scores):
    return m.op("Add", scores, x(1, 1, 1, 6))


def attention_windows():
    """Windows of an image, whose positions' bias comes as (rows, keys, heads) and is the same for all of them."""
    m = Model("attention_windows_bias")
    q, k, v = m.add(x(4, 2, 6, 8)), m.add(x(4, 2, 6, 8)), m.add(x(4, 2, 6, 8))
    bias = m.op("Unsqueeze", m.op("Transpose", x(6, 6, 2), perm=[2, 0, 1]), const([0]))
    k_transposed = m.op("Transpose", k, perm=[0, 1, 3, 2])
    return m.result(attend(m, q, k_transposed, v, 8, lambda scores: m.op("Add", scores, bias)))


def self_attention(m, value, tokens, width, count, mask=None):
    """Projections, heads, attention and output projection of a [1, tokens, width] value."""
    size = width // count
    q, k, v = (linear(m, value, width, width) for _ in range(3))
    o = attend(m, heads(m, q, tokens, count, size, [0, 2, 1, 3]), heads(m, k, tokens, count, size, [0, 2, 3, 1]),
               heads(m, v, tokens, count, size, [0, 2, 1, 3]), size, mask)
    o = m.op("Reshape", m.op("Transpose", o, perm=[0, 2, 1, 3]), const([1, tokens, width]))
    return linear(m, o, width, width)


def layer_norm(m, value, width):
    return m.op("LayerNormalization", value, w(width, draw=GAIN), w(width, draw=normal), axis=-1)


def residual_mlp(name, activation):
    m = Model(f"mlp_residual_{name}")
    value = m.add(x(1, 5, 12))
    hidden = activation(m, linear(m, layer_norm(m, value, 12), 12, 24))
    return m.result(m.op("Add", value, linear(m, hidden, 24, 12)))


def swiglu():
    m = Model("mlp_swiglu")
    value = m.add(x(1, 5, 12))
    gate = linear(m, value, 12, 20, has_bias=False)
    hidden = m.op("Mul", m.op("Mul", gate, m.op("Sigmoid", gate)), linear(m, value, 12, 20, has_bias=False))
    return m.result(linear(m, hidden, 20, 12, has_bias=False))


def transformer_block():
    m = Model("transformer_block")
    value = m.add(x(1, 6, 16))
    value = m.op("Add", value, self_attention(m, layer_norm(m, value, 16), 6, 16, 2, lambda scores: where_mask(m, scores)))
    hidden = gelu_erf(m, linear(m, layer_norm(m, value, 16), 16, 32))
    return m.result(m.op("Add", value, linear(m, hidden, 32, 16)))


def squeeze_excite():
    m = Model("squeeze_excite")
    value = m.add(x(1, 8, 6, 6))
    gate = m.op("Relu", m.op("Conv", m.op("GlobalAveragePool", value), w(4, 8, 1, 1), w(4)))
    return m.result(m.op("Mul", value, m.op("Sigmoid", m.op("Conv", gate, w(8, 4, 1, 1), w(8)))))


def inverted_residual():
    m = Model("inverted_residual")
    value = m.add(x(1, 6, 7, 7))
    relu6 = (const(0.0, "f4"), const(6.0, "f4"))
    y = m.op("Clip", m.op("Conv", value, w(18, 6, 1, 1), w(18)), *relu6)
    y = m.op("Clip", m.op("Conv", y, w(18, 1, 3, 3), w(18), group=18, pads=[1, 1, 1, 1]), *relu6)
    return m.result(m.op("Add", value, m.op("Conv", y, w(6, 18, 1, 1), w(6))))


def mlp_chain():
    """Eight equal layers: the smallest thing worth streaming."""
    m = Model("mlp_chain")
    value = m.add(x(3, 24))
    for _ in range(8):
        value = m.op("Tanh", linear(m, value, 24, 24))
    return m.result(value)


def shared_weight():
    """One weight used at the beginning and at the end."""
    m = Model("weight_shared")
    shared = m.add(w(16, 16, draw=rows))
    value = m.op("Tanh", m.op("MatMul", x(4, 16), shared))
    value = m.op("Tanh", linear(m, value, 16, 16))
    return m.result(m.op("MatMul", value, shared))


def several_outputs():
    """An inner value is an output too, and one output is used by another."""
    m = Model("outputs_several")
    hidden = m.op("Relu", linear(m, x(3, 10), 10, 12))
    return m.result(hidden, linear(m, hidden, 12, 4), m.op("ReduceMean", hidden, axes=[-1], keepdims=1))


def several_inputs():
    m = Model("inputs_several")
    left, right = linear(m, x(3, 10), 10, 8), linear(m, x(3, 6), 6, 8)
    return m.result(m.op("Mul", m.op("Add", left, right), x(3, 1)))


def large_table():
    """A constant of 640 kB, computed from a few numbers so that the file stays small, added to a broadcast input."""
    m = Model("table_large")
    steps = m.op("Range", const(0, "f4"), const(400 * 400, "f4"), const(1, "f4"))
    table = m.op("Sin", m.op("Mul", steps, const(0.003, "f4")))
    table = m.op("Reshape", table, const([400, 400]))
    return m.result(m.op("ReduceMean", m.op("Relu", m.op("Add", x(1, 400), table)), axes=[-1], keepdims=0))


def symbolic_batch():
    """Declared with a symbolic first dimension `batch`; the npz holds batch 3."""
    m = Model("symbolic_batch")
    value = linear(m, x(3, 10), 10, 12)
    m.symbolic("x0", ["batch", 10])
    return m.result(m.op("Relu", value))


def cases():
    yield attention_heads("plain")
    yield attention_windows()
    yield attention_heads("cross", kv_tokens=9)
    yield attention_heads("additive_mask", mask=additive_mask)
    yield attention_heads("where_mask", mask=where_mask)
    yield attention_heads("runtime_mask", mask=runtime_mask)
    m = Model("attention_projected")
    yield m.result(self_attention(m, m.add(x(1, 5, 12)), 5, 12, 3))
    yield residual_mlp("gelu_erf", gelu_erf)
    yield residual_mlp("gelu_tanh", gelu_tanh)
    yield residual_mlp("relu", lambda m, value: m.op("Relu", value))
    yield swiglu()
    yield transformer_block()
    yield squeeze_excite()
    yield inverted_residual()
    yield mlp_chain()
    yield shared_weight()
    yield several_outputs()
    yield several_inputs()
    yield large_table()
    yield symbolic_batch()
