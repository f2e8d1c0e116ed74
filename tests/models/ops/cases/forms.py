"""Forms of operators that runtimes take besides the usual one: lists of one for scalars, limits that no number reaches, other ends.

Deliberately not here: the usual forms (in the groups of the operators).
"""
import numpy as np
from builder import Model, const, integers, normal, rows, single, w, x

FAR, LEAST, MOST = 2**40, -2**63, 2**63 - 1


def compared():
    """Comparisons with 64-bit constants beyond 32 bits, on either side."""
    m = Model("compare_beyond_32_bits")
    edges = lambda rng, shape: np.array([[-2**31, -1, 0, 5], [2**31 - 1, 7, -2**31, 2**31 - 1]])
    ids = m.add(x(2, 4, draw=edges))
    line = const([FAR, -FAR, 2**31, -2**31 - 1])
    near = const([2**31 - 1, -2**31, 5, FAR])
    values = [m.op(op, ids, constant) for op in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")
              for constant in (line, near, const(MOST), const([[LEAST]]))]
    values += [m.op(op, line, ids) for op in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")]
    return m.result(m.op("Concat", *[m.op("Cast", value, to=6) for value in values], axis=0))


def clipped():
    """Limits of 64-bit integers that are none."""
    m = Model("clip_beyond_32_bits")
    ids = m.add(x(3, 4, draw=integers(-99, 99)))
    low, high = m.op("Clip", ids, const(-3), const(MOST)), m.op("Clip", ids, const(LEAST), const(50))
    both, one = m.op("Clip", ids, const(LEAST), const(MOST)), m.op("Clip", ids, "", const(FAR))
    return m.result(low, high, m.op("Add", both, one))


def embedded():
    """The count of a mask, whatever mask_index_type says."""
    m = Model("embedlayernorm_mask_index_type_0")
    y, counts, _ = m.op("EmbedLayerNormalization", x(2, 5, draw=integers(0, 9, np.int32)), x(2, 5, draw=integers(0, 2, np.int32)),
                     w(9, 8, draw=rows), w(7, 8, draw=rows), w(2, 8, draw=rows), w(8, draw=normal), w(8, draw=normal), x(2, 5, draw=integers(0, 2, np.int32)), outputs=3,
                     domain="com.microsoft", mask_index_type=0)
    return m.result(y, counts)


def cases():
    yield compared()
    yield clipped()
    yield embedded()
    for upper, k in ((0, 1), (1, -2)):
        yield single(f"trilu_list_{upper}", "Trilu", x(2, 4, 5), const([k]), upper=upper)
    yield single("trilu_computed_list", "Trilu", x(4, 5), x(1, draw=integers(1, 2)))
    yield single("pad_value_computed_list", "Pad", x(2, 3), const([1, 0, 0, 2]), x(1))
    yield single("pad_value_list_i64", "Pad", x(2, 3, draw=integers(-5, 5)), const([1, 0, 0, 2]), const([7]))
    yield single("pad_wrap", "Pad", x(2, 3, 4), const([1, 0, 2, 0, 3, 1]), mode="wrap", opset=19)
    yield single("pad_wrap_beyond_axis", "Pad", x(2, 3), const([3, 4, 5, 7]), mode="wrap", opset=19).by_reference()
    yield single("pad_wrap_axes", "Pad", x(2, 3, 4), const([2, 1, 1, 2]), "", const([-1, 0]), mode="wrap", opset=19)
    yield single("pad_wrap_cropped", "Pad", x(2, 6), const([0, -2, 0, 3]), mode="wrap", opset=19)
    yield single("split_uneven", "Split", x(2, 7), outputs=3, axis=1, num_outputs=3, opset=18)
    yield single("split_uneven_last_axis", "Split", x(2, 5), outputs=2, axis=-1, num_outputs=2, opset=18)
    yield single("split_even_parts", "Split", x(6, 2), outputs=3, num_outputs=3, opset=18)
    for name, scales in (("upsample_bilinear", [1, 1, 2, 3]), ("upsample_bilinear_fraction", [1, 1, 1.5, 2.25])):
        yield single(name, "Upsample", x(1, 2, 3, 4), const(scales, np.float32), mode="linear", opset=9)
    yield single("upsample_trilinear", "Upsample", x(1, 2, 3, 2, 4), const([1, 1, 2, 2.5, 1.5], np.float32), mode="linear", opset=9)
    yield single("upsample_linear_matrix", "Upsample", x(3, 4), const([2, 2], np.float32), mode="linear", opset=9)
    yield single("upsample_fraction", "Upsample", x(1, 2, 3, 4), const([1, 1, 1.4, 2.6], np.float32), opset=9)
    yield single("upsample_7_bilinear", "Upsample", x(1, 2, 3, 4), scales=[1.0, 1.0, 2.0, 2.0], mode="linear", opset=7)
    yield single("resize_10_linear", "Resize", x(1, 2, 5, 4), const([1, 1, 0.6, 2], np.float32), mode="linear", opset=10)
    yield single("resize_10_smaller", "Resize", x(1, 2, 7, 8), const([1, 1, 0.4, 0.7], np.float32), opset=10)
