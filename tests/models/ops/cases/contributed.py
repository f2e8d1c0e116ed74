"""Operators of ONNX Runtime's own, most of them in the domain com.microsoft.

Deliberately not here: means and deviations as outputs, which ONNX Runtime leaves empty.
"""
import numpy as np

from builder import Model, const, normal, single, w, x

DOMAIN = dict(domain="com.microsoft")


def small(rng, shape):
    return normal(rng, shape) / 1000


def with_sum(name, op_type, *args):
    """The norm, and the sum that it is of."""
    m = Model(name)
    norm, _, _, total = m.op(op_type, *args, outputs=4, **DOMAIN)
    m.nodes[-1].output[1:3] = ["", ""]
    return m.result(norm, total)


def regular(rng, shape):
    """Matrices far from singular."""
    return normal(rng, shape) + shape[-1] * np.eye(shape[-1], dtype=np.float32)


def cases():
    yield single("ms_inverse", "Inverse", x(5, 5, draw=regular), **DOMAIN)
    yield single("ms_inverse_batches", "Inverse", x(2, 3, 4, 4, draw=regular), **DOMAIN)
    yield single("ms_inverse_32_rows", "Inverse", x(32, 32, draw=regular), **DOMAIN)
    exchanged = const([[0, 2, 1], [3, 0, 0], [0, 0.5, 4]], np.float32)
    yield single("ms_inverse_exchanged_rows", "Inverse", exchanged, **DOMAIN)
    yield single("ms_bias_gelu", "BiasGelu", x(2, 3, 8), w(8, draw=normal), **DOMAIN)
    yield single("ms_fast_gelu", "FastGelu", x(2, 3, 8), **DOMAIN)
    yield single("ms_fast_gelu_bias", "FastGelu", x(2, 3, 8), w(8, draw=normal), **DOMAIN)
    yield single("ms_quick_gelu", "QuickGelu", x(2, 3, 8), alpha=1.5, **DOMAIN)
    yield single("ms_quick_gelu_default", "QuickGelu", x(2, 3, 8), **DOMAIN)
    yield single("ms_simplified_layernorm", "SimplifiedLayerNormalization", x(2, 3, 8), w(8, draw=normal), axis=-1,
                 epsilon=1e-3).not_standard()
    yield single("ms_simplified_layernorm_axis_1", "SimplifiedLayerNormalization", x(2, 3, 8, draw=small), w(3, 8, draw=normal),
                 axis=1).not_standard()
    skip = [x(2, 3, 8), x(2, 3, 8)]
    yield single("ms_skip_layernorm", "SkipLayerNormalization", *skip, w(8, draw=normal), w(8, draw=normal),
                 w(8, draw=normal), epsilon=1e-3, **DOMAIN)
    # Values so small that epsilon, where none is given, decides.
    tiny = [x(2, 3, 8, draw=small), x(2, 3, 8, draw=small)]
    yield single("ms_skip_layernorm_scale_only", "SkipLayerNormalization", *tiny, w(8, draw=normal), **DOMAIN)
    yield with_sum("ms_skip_layernorm_sum", "SkipLayerNormalization", *skip, w(8, draw=normal), "", w(8, draw=normal))
    yield with_sum("ms_skip_simplified_layernorm_sum", "SkipSimplifiedLayerNormalization", x(2, 3, 8), x(1, 3, 8),
                   w(8, draw=normal))
    yield single("ms_skip_simplified_layernorm", "SkipSimplifiedLayerNormalization", *skip, w(8, draw=normal),
                 epsilon=1e-3, **DOMAIN)
    yield single("ms_skip_simplified_layernorm_bias", "SkipSimplifiedLayerNormalization", *tiny, w(8, draw=normal),
                 w(8, draw=small), **DOMAIN)
