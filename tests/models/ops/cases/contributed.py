"""Operators of ONNX Runtime's own, most of them in the domain com.microsoft.

Deliberately not here: means and deviations as outputs, which ONNX Runtime leaves empty.
"""
import numpy as np

from onnx import numpy_helper

from builder import Model, const, integers, normal, single, w, x

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


def fused_gemms():
    """Every activation that ONNX Runtime fuses with a Gemm, with attributes of its own and without."""
    m = Model("ms_fused_gemm")
    a, b, c = m.add(x(3, 7)), m.add(w(5, 7, draw=normal)), m.add(w(5, draw=normal))
    named = [("Relu", {}), ("Tanh", {}), ("Sigmoid", {}), ("Softplus", {}), ("Softsign", {}), ("LeakyRelu", {"activation_alpha": 0.2}),
             ("Elu", {"activation_alpha": 0.7}), ("Selu", {"activation_alpha": 1.5, "activation_gamma": 0.5}),
             ("ThresholdedRelu", {"activation_alpha": 0.3}), ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4})]
    made = [m.op("FusedGemm", a, b, c, activation=name, transB=1, alpha=0.5, beta=2.0, **attrs, **DOMAIN) for name, attrs in named]
    return m.result(*made, m.op("FusedGemm", a, w(7, 4, draw=normal), activation="Relu", **DOMAIN))


def integer_products():
    """Products of 8-bit integers between quantizations, a scale for all columns or for each."""
    m = Model("ms_integer_products")
    v = m.add(x(3, 8))
    bias, each = m.add(w(5, draw=normal)), m.add(const(np.linspace(0.01, 0.05, 5), np.float32))
    signed, zeros = m.add(w(8, 5, draw=integers(-60, 60, np.int8))), m.add(const([1, -2, 0, 3, 5], np.int8))
    results = [m.op("DynamicQuantizeMatMul", v, signed, const(0.02, np.float32), **DOMAIN),
               m.op("DynamicQuantizeMatMul", v, signed, each, zeros, bias, **DOMAIN)]
    whole, scale, zero = m.op("DynamicQuantizeLinear", v, outputs=3)
    results += [m.op("MatMulIntegerToFloat", whole, signed, scale, each, zero, zeros, bias, **DOMAIN),
                m.op("MatMulIntegerToFloat", whole, signed, scale, const(0.02, np.float32), **DOMAIN)]

    def formula(data):
        low, high = min(data.min(), 0), max(data.max(), 0)
        step = np.float64(np.float32((high - low) / 255))
        point = np.round(-low / step)
        found = np.clip(np.round(data / step) + point, 0, 255)
        of = {c.name: numpy_helper.to_array(c).astype(np.float64) for c in m.constants}
        plain = (found - point) @ of[signed] * step * np.float64(np.float32(0.02))
        full = (found - point) @ (of[signed] - of[zeros]) * step * of[each] + of[bias]
        return plain, full, full, found @ of[signed] * step * np.float64(np.float32(0.02))

    return m.result(*results).by_formula(formula)


def cases():
    yield fused_gemms()
    yield integer_products()
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
