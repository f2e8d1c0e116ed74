"""Scatters, top-k, cumulative sums, triangles and what else works along an axis.

Models whose constant indices lie outside their axis stand in refused.txt. Deliberately not here: Gather itself, which is in
shape.py.
"""
import numpy as np
from builder import Model, const, integers, normal, single, w, x


def halves(rng, shape):
    """Few distinct values, so that there are ties."""
    return (rng.integers(-3, 4, shape) / 2).astype(np.float32)


def many_updates():
    """More updates than an invocation of a software adapter has rounds of loops; the last ones are looked at."""
    m, count = Model("scatter_many_updates", 18), 70_000
    places = m.op("Range", const(0), const(count), const(1))
    data, updates = m.op("Expand", x(1), const([count])), m.op("Expand", x(1), const([count]))
    scattered = m.op("ScatterElements", data, places, updates, axis=0, reduction="add")
    return m.result(m.op("Slice", scattered, const([count - 5]), const([count])))


def long_line(name, **attrs):
    """A line of more elements than an invocation of a software adapter has rounds of loops; both ends are looked at."""
    m, count = Model(name), 70_000
    sums = m.op("CumSum", m.op("Expand", x(1, draw=integers(2, 9)), const([count])), const(0), **attrs)
    return m.result(m.op("Slice", sums, const([0]), const([2])), m.op("Slice", sums, const([count - 3]), const([count])))


def joined_indices():
    """Index vectors that are joined from two inputs, one of them shifted."""
    m = Model("gather_nd_joined_inputs")
    row = m.op("Unsqueeze", x(4, draw=integers(-3, 3)), const([1]))
    column = m.op("Unsqueeze", m.op("Sub", x(4, draw=integers(1, 6)), const(1)), const([1]))
    return m.result(m.op("GatherND", x(3, 5), m.op("Concat", row, column, axis=1)))


def computed_indices():
    """Indices that are known on the device only."""
    m = Model("gather_computed_indices")
    places = m.op("Add", x(4, draw=integers(0, 3)), x(4, draw=integers(0, 3)))
    return m.result(m.op("Gather", x(5, 3), places, axis=0))


def outside():
    """Constant indices outside their axis."""
    yield single("outside_gather", "Gather", x(5, 3), const([1, -6]), axis=0).invalid((2, 3))
    yield single("outside_gather_scalar", "Gather", x(5, 3), const(5), axis=0).invalid((3,))
    yield single("outside_gather_nd", "GatherND", x(5, 3), const([[4, 2], [0, 3]])).invalid((2,))
    yield single("outside_gather_elements", "GatherElements", x(5, 3), const([[4, 5, 0]]), axis=0).invalid((1, 3))
    yield single("outside_scatter_elements", "ScatterElements", x(2, 3), const([[3]]), x(1, 1), axis=1, opset=18).invalid((2, 3))
    yield single("outside_scatter_nd", "ScatterND", x(5, 3), const([[-6]]), x(1, 3), opset=18).invalid((5, 3))
    yield single("outside_gather_quantized", "GatherBlockQuantized", const(np.ones((4, 16)), np.uint8), const([1, 4]),
                 const(np.ones((4, 1)), np.float32), bits=8, block_size=16, quantize_axis=1, domain="com.microsoft", opset=21).invalid((2, 16))
    yield single("outside_label", "NegativeLogLikelihoodLoss", x(2, 3), const([0, -1]), opset=18).invalid(())


def folded_indices():
    """Constants at constant indices, some of which count from the end."""
    m = Model("folded_indices_from_the_end", 18)
    v, table = m.add(x(3)), m.add(w(3, 4))
    square = m.op("GatherND", table, const([[[0, -1], [-3, 2], [1, 1]], [[2, 3], [-1, -4], [0, 0]]]))
    rows = m.op("GatherND", m.add(w(2, 3, 3)), const([[-1], [0]]), batch_dims=1)
    scattered = m.op("ScatterND", table, const([[[0, 1]], [[2, -1]]]), m.add(w(2, 1)), reduction="add")
    elements = m.op("GatherElements", table, const([[-1, 0], [1, -2]]), axis=1)
    return m.result(m.op("Add", square, v), m.op("Add", rows, v), m.op("Mul", scattered, m.op("Unsqueeze", v, const([1]))),
                    m.op("Add", elements, m.op("ReduceSum", v, keepdims=0)))


def cases():
    yield joined_indices()
    yield folded_indices()
    yield computed_indices()
    yield from outside()
    yield single("scatter_elements_axis1", "ScatterElements", x(3, 5), const([[1, -1], [0, 2], [4, 3]]), x(3, 2), axis=1,
                 opset=18)
    yield single("scatter_elements_add_duplicates", "ScatterElements", x(2, 4), x(2, 3, draw=integers(-4, 4)), x(2, 3),
                 axis=1, reduction="add", opset=18)
    yield many_updates()
    yield long_line("cumsum_long_line")
    yield long_line("cumsum_long_line_exclusive_reverse", exclusive=1, reverse=1)
    yield single("scatter_elements_max_i64", "ScatterElements", x(4, 2, draw=integers(-9, 9)),
                 x(3, 2, draw=integers(0, 4)), x(3, 2, draw=integers(-9, 9)), axis=0, reduction="max", opset=18)
    yield single("scatter_nd_rows", "ScatterND", x(5, 3), const([[4], [0], [-2]]), x(3, 3), opset=18)
    yield single("scatter_nd_elements_mul", "ScatterND", x(3, 4), x(6, 2, draw=integers(0, 3)), x(6), reduction="mul",
                 opset=18)
    yield single("gather_nd_batch", "GatherND", x(2, 3, 4), x(2, 2, 1, draw=integers(-3, 3)), batch_dims=1)
    yield single("topk_largest", "TopK", x(3, 7, draw=halves), const([4]), outputs=2, axis=-1)
    yield single("topk_smallest_axis0", "TopK", x(6, 2, 3, draw=halves), const([2]), outputs=2, axis=0, largest=0)
    yield single("topk_i64", "TopK", x(2, 6, draw=integers(-3, 3)), const([6]), outputs=2)
    yield single("cumsum_exclusive_reverse", "CumSum", x(2, 3, 5), const(1), exclusive=1, reverse=1)
    yield single("cumsum_axis_list", "CumSum", x(3, 4), const([-1]), reverse=1)
    yield single("cumsum_i64", "CumSum", x(3, 4, draw=integers(-2**24, 2**24)), const(-1))
    yield single("trilu_runtime_diagonal", "Trilu", x(2, 3, 4), x(draw=lambda rng, shape: np.array(-1)), upper=0)
    yield single("onehot_integers", "OneHot", x(3, draw=integers(-4, 4)), const(4), const([2, 7]), axis=0)
    yield single("lrn", "LRN", x(2, 5, 3, 2, draw=normal), size=3, alpha=0.5, beta=0.6, bias=1.5)
    yield single("maxpool_indices", "MaxPool", x(2, 2, 5, 4, draw=halves), outputs=2, kernel_shape=[3, 2],
                 strides=[2, 1], pads=[1, 0, 0, 1])
    yield single("maxpool_3d_dilated", "MaxPool", x(1, 2, 5, 4, 4), kernel_shape=[2, 2, 2], dilations=[2, 1, 1],
                 ceil_mode=1, strides=[2, 2, 2])
    yield single("averagepool_3d_pads", "AveragePool", x(1, 2, 4, 3, 3), kernel_shape=[3, 2, 2], pads=[1, 0, 1, 1, 0, 0],
                 count_include_pad=1)
