"""Reductions and ArgMax over various axes.

In opset 17 only ReduceSum takes its axes as an input. Deliberately not here: empty axes and ties.
"""
from builder import const, distinct, integers, single, uniform, x

ATTRIBUTE_AXES = {  # operator -> values that keep its result in a sane range
    "ReduceMean": None,
    "ReduceMax": distinct,
    "ReduceMin": distinct,
    "ReduceProd": uniform(0.7, 1.4),
    "ReduceL1": None,
    "ReduceL2": None,
    "ReduceSumSquare": None,
    "ReduceLogSumExp": None,
}


def cases():
    for op_type, draw in ATTRIBUTE_AXES.items():
        stem = "reduce_" + op_type.removeprefix("Reduce").lower()
        kind = {"draw": draw} if draw else {}
        yield single(f"{stem}_last", op_type, x(3, 5, 14, **kind), axes=[-1], keepdims=1)
        yield single(f"{stem}_middle_dropped", op_type, x(3, 7, 4, **kind), axes=[1], keepdims=0)
    for name, axes, keepdims in (("last", [-1], 1), ("middle_dropped", [1], 0), ("two_axes", [0, 2], 1)):
        yield single(f"reduce_sum_{name}", "ReduceSum", x(3, 7, 6), const(axes), keepdims=keepdims)
    yield single("reduce_sum_all", "ReduceSum", x(3, 7, 6), keepdims=0)
    yield single("reduce_sum_i64", "ReduceSum", x(3, 7, draw=integers(-9, 10)), const([1]), keepdims=0)
    yield single("reduce_mean_spatial", "ReduceMean", x(1, 6, 7, 5), axes=[2, 3], keepdims=1)
    yield single("reduce_mean_tokens", "ReduceMean", x(1, 17, 12), axes=[1], keepdims=0)
    yield single("reduce_mean_long", "ReduceMean", x(2, 1025), axes=[-1], keepdims=1)
    yield single("reduce_max_all", "ReduceMax", x(3, 7, 6, draw=distinct), keepdims=1)
    yield single("reduce_mean_axes_input", "ReduceMean", x(3, 5, 6), const([1]), opset=18, keepdims=1)
    yield single("argmax_last", "ArgMax", x(4, 33, draw=distinct), axis=-1, keepdims=1)
    yield single("argmax_middle_dropped", "ArgMax", x(3, 9, 4, draw=distinct), axis=1, keepdims=0)
    yield single("argmax_first", "ArgMax", x(6, 5, draw=distinct), axis=0, keepdims=0)
    yield single("argmin_last", "ArgMin", x(4, 33, draw=distinct), axis=-1, keepdims=0)
