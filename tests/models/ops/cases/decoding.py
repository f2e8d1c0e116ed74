"""What language models decode with: attention to caches in all its forms, and attention as a recurrence.

Needs onnx 1.23 and ONNX Runtime 1.32. Forms that only its CUDA and WebGPU kernels have (packed operands, norms of heads) are
computed by formula. Deliberately not here: the plain forms (language.py).
"""
import numpy as np

from builder import Model, const, integers, normal, single, w, x

from .language import DOMAIN, cache, grouped, total, word


def split(a, heads):
    """(batch, rows, heads * size) as (batch, heads, rows, size)."""
    return a.reshape(*a.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def attend(q, k, v, bias=0.0):
    """softmax(q k^T / sqrt(size) + bias) v of operands with heads apart, heads joined."""
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]) + bias
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    y = weights / weights.sum(-1, keepdims=True) @ v
    return y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1)


def whole(operands, **attrs):
    """A node of which all results are given."""
    def case(name, op, outputs=1):
        m = Model(name)
        made = m.op(op, *operands, outputs=outputs, **attrs, **DOMAIN)
        return m.result(*([made] if outputs == 1 else made))
    return case


def normed_heads():
    """Root mean squares of heads are made one before anything else, on devices only."""
    room = ((1, 2, 6, 8), (3,), normal)
    m = grouped("head_norms", x(1, 2, 32), x(1, 2, 16), x(1, 2, 16), room, (4,), total(6), *[""] * 7, w(8, draw=normal),
                w(8, draw=normal), qk_norm_epsilon=1e-3)
    scale = [np.frombuffer(t.raw_data, np.float32).astype(np.float64) for t in m.constants[-2:]]

    def formula(q, k, v, past_k, past_v, *_):
        norm = lambda a, s: a / np.sqrt((a**2).mean(-1, keepdims=True) + 1e-3) * s
        q, k = norm(split(q, 4), scale[0]), norm(split(k, 2), scale[1])
        keys, values = past_k.copy(), past_v.copy()
        keys[:, :, 3:5], values[:, :, 3:5] = k, split(v, 2)
        hidden = np.where(np.arange(6) <= 3 + np.arange(2)[:, None], 0, -np.inf)
        return attend(q, keys.repeat(2, 1), values.repeat(2, 1), hidden), keys, values
    return m.by_formula(formula)


def grouped_forms():
    two, one = ([x(batch, rows, size) for size in (32, 16, 16)] for batch, rows in ((1, 2), (2, 1)))
    room, rooms = ((1, 2, 6, 8), (3,), normal), ((2, 2, 6, 8), (3, 5), normal)
    empty = [""] * 3
    yield grouped("bias", *two, room, (4,), total(6), *empty, x(1, 4, 2, 6))
    yield grouped("bias_shared", *one, rooms, (3, 5), total(6), *empty, x(1, 1, 1, 6), softcap=1.5)
    yield grouped("bias_sinks", *one, rooms, (3, 5), total(6), *empty, x(2, 4, 1, 6), w(4, draw=normal))
    yield grouped("not_causal", *two, room, (4,), total(6), causal=0)
    yield normed_heads()


def packed():
    bias = w(48, draw=normal)
    yield (whole([x(2, 3, 2, 3, 8)], num_heads=2)("ms_mha_packed", "MultiHeadAttention")
           .by_formula(lambda a: [attend(*(a[:, :, :, i].transpose(0, 2, 1, 3) for i in range(3)))]))
    m = whole([x(2, 3, 16), x(2, 5, 2, 2, 8), "", bias], num_heads=2)("ms_mha_packed_keys", "MultiHeadAttention")
    b = np.frombuffer(m.constants[0].raw_data, np.float32).astype(np.float64).reshape(3, 1, 2, 1, 8)
    yield m.by_formula(lambda q, kv: [attend(split(q, 2) + b[0], kv[:, :, :, 0].transpose(0, 2, 1, 3) + b[1],
                                             kv[:, :, :, 1].transpose(0, 2, 1, 3) + b[2])])


def masked():
    three = [x(2, 3, 16), x(2, 5, 16), x(2, 5, 16)]
    case = lambda name, mask, *more, **attrs: whole([*three, "", mask, *more], num_heads=2, **attrs)(
        f"ms_mha_mask_{name}", "MultiHeadAttention")
    yield case("keys", word([1, 1, 1, 0, 0], [1, 0, 1, 1, 1]))
    yield case("lengths", word(3, 5))
    yield case("ends_and_starts", word(3, 5, 0, 3, 6, 0, 5, 10))
    yield case("queries", word([[1, 0, 1, 1, 0]] * 3, [[0, 1, 1, 0, 1], [1] * 5, [1, 0, 0, 0, 0]]))
    yield case("filter_bias", word([1, 1, 1, 0, 0], [1, 0, 1, 1, 1]), x(1, 2, 3, 5), mask_filter_value=-2.0)


def decoder_masked():
    one = [x(2, 1, 16)] * 3
    past = [x(2, 2, 6, 8, draw=cache((3, 3)))] * 2
    case = lambda name, *operands, outputs=3, **attrs: whole(
        operands, num_heads=2, past_present_share_buffer=int(outputs == 3), **attrs)(
            f"ms_decoder_mha_{name}", "DecoderMaskedMultiHeadAttention", outputs)
    yield case("past", *one, "", "", *past, word(3))
    yield case("bias", *one, "", "", *past, word(3), "", "", w(48, draw=normal), scale=0.5)
    yield case("mask", *one, word([1, 1, 0, 1], [0, 1, 1, 1]), "", *past, word(3))
    yield case("scores", *one, "", x(1, 2, 1, 4), *past, word(3))
    encoder = [x(2, 2, 5, 8)] * 2
    yield case("cross", x(2, 1, 16), *encoder, word([1, 1, 0, 1, 1], [0, 1, 1, 1, 1]), outputs=1)
    yield case("first", *one, outputs=1)


def recurrences():
    """Two steps or more, so that one builds on the other; rates in (0, 1), decays below 1."""
    rate = lambda rng, shape: rng.uniform(0.1, 0.9, shape).astype(np.float32)
    decay = lambda rng, shape: -rng.uniform(0.01, 2.0, shape).astype(np.float32)
    short = lambda rng, shape: (rng.standard_normal(shape) * 0.4).astype(np.float32)

    def case(name, rule, heads=(2, 2), length=3, d_k=4, d_v=5, past=True, per_key=False, one_rate=False, batch=2, opset=27,
             **attrs):
        contributed = opset < 27
        m = Model(f"{'ms_' if contributed else ''}linear_attention_{name}", opset)
        sizes = [heads[0] * d_k, heads[1] * d_k, heads[1] * d_v]
        operands = [x(batch, length, size, draw=short) for size in sizes]
        operands.append(x(batch, heads[1], d_k, d_v, draw=short) if past else "")
        operands.append(x(batch, length, heads[1] * (d_k if per_key else 1), draw=decay) if "gated" in rule else "")
        operands.append(x(batch, length, 1 if one_rate else heads[1], draw=rate) if "delta" in rule else "")
        while operands[-1] == "":
            operands.pop()
        domain = DOMAIN if contributed else {}
        return m.result(*m.op("LinearAttention", *operands, outputs=2, q_num_heads=heads[0], kv_num_heads=heads[1],
                              update_rule=rule, **attrs, **domain))

    yield case("linear", "linear", scale=0.3)
    yield case("gated_keys", "gated", per_key=True, heads=(4, 2))
    yield case("delta_one_rate", "delta", one_rate=True, past=False)
    yield case("gated_delta", "gated_delta", heads=(6, 2))
    yield case("step", "gated_delta", length=1, d_k=16, d_v=70, per_key=True)
    # More steps than one call makes.
    yield case("long", "gated_delta", length=90, d_k=128, d_v=1, heads=(1, 1), batch=1)
    yield case("gated_delta", "gated_delta", opset=17)
    yield case("linear_nothing_before", "linear", past=False, opset=17)


def cases():
    yield from grouped_forms()
    yield from packed()
    yield from masked()
    yield from decoder_masked()
    yield from recurrences()
