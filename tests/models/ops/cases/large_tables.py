"""Rows of a table above 16 MiB, at indices that follow from inputs by integer arithmetic, casts, views, joins and lists of numbers.

The table is joined from copies of few rows, so that the file stays small; copies differ in nothing, hence a first row of every
copy is added up from two tables. Deliberately not here: small tables, whose indices may be computed on the device.
"""
import numpy as np
from builder import Model, booleans, const, integers, uniform, w, x

ROWS, COPIES, COLUMNS = 67, 40, 48


def table(m):
    """(67 · 40 · 40, 48): 19.6 MiB."""
    rows = m.add(w(ROWS, COLUMNS))
    many = m.op("Concat", *[rows] * (COPIES // 2), m.add(w(ROWS, COLUMNS)), *[rows] * (COPIES // 2 - 1), axis=0)
    return m.op("Concat", *[many] * COPIES, axis=0)


SIZE = ROWS * COPIES * COPIES


def rows_at(name, *indices, opset=17):
    """A model that gathers at each of the indices; a function of the model gives their name."""
    m = Model(name, opset)
    data = table(m)
    return m.result(*[m.op("Gather", data, make(m), axis=0) for make in indices])


def arithmetic():
    ids = lambda m: m.add(x(2, 5, draw=integers(-200, 200)))
    yield lambda m: m.op("Sub", m.op("Mul", ids(m), const(500)), const(-3))
    yield lambda m: m.op("Clip", ids(m), const(-7), const(90))
    yield lambda m: m.op("Max", m.op("Min", ids(m), const(40)), const(2))
    yield lambda m: m.op("Mod", m.op("Add", ids(m), const([1, 10, 100, 1000, 10000])), const(977))


def casts():
    yield lambda m: m.op("Cast", x(7, draw=integers(0, 256, np.uint8)), to=7)
    yield lambda m: m.op("Cast", m.op("Cast", x(9, draw=integers(-700, 700)), to=2), to=6)
    yield lambda m: m.op("Cast", m.op("Cast", x(9, draw=integers(-700, 700, np.int32)), to=3), to=7)
    yield lambda m: m.op("Cast", x(3, 2, draw=booleans), to=7)


def replaced():
    def negative(m):
        ids = m.add(x(2, 6, draw=integers(-3, 90)))
        return m.op("Where", m.op("Less", ids, const(0)), const(11), ids)

    def padding(m):
        ids = m.add(x(8, draw=integers(-101, -98)))
        return m.op("Where", m.op("Equal", ids, const(-100)), const(0), m.op("Add", ids, const(300)))

    def masked(m):
        ids, mask = m.add(x(2, 4, draw=integers(0, SIZE))), m.add(x(2, 4, draw=integers(0, 2)))
        kept = m.op("And", m.op("Not", m.op("Equal", mask, const(0))), m.op("GreaterOrEqual", ids, const(SIZE // 2)))
        return m.op("Where", kept, ids, m.op("Mul", ids, const(0)))

    yield from (negative, padding, masked)


def views():
    def turned(m):
        ids = m.op("Transpose", m.op("Squeeze", x(1, 4, 6, draw=integers(0, SIZE)), const([0])), perm=[1, 0])
        return m.op("Add", m.op("Slice", ids, const([5, 0]), const([-9, 3]), const([0, 1]), const([-2, 1])), const(-1))

    def expanded(m):
        ids = m.op("Unsqueeze", x(3, draw=integers(0, 50)), const([1]))
        return m.op("Expand", m.op("Neg", ids), const([3, 4]))

    def sums(m):
        return m.op("Add", m.op("Reshape", x(4, draw=integers(0, 500)), const([4, 1])), x(3, draw=integers(0, 500, np.int64)))

    yield from (turned, expanded, sums)


def joins():
    def sentence(m):
        ids = m.op("Clip", x(2, 5, draw=integers(-9, 900)), const(0), const(800))
        return m.op("Concat", const([[101], [101]]), ids, const([[102], [103]]), x(2, 3, draw=integers(0, SIZE)), axis=1)

    def stacked(m):
        ids = m.op("Concat", x(4, draw=integers(0, SIZE)), x(4, draw=integers(0, SIZE)), axis=0)
        return m.op("Add", m.op("Reshape", ids, const([2, 4])), const(-SIZE))

    yield from (sentence, stacked)


def looked_up():
    """Numbers of lists, at places from both ends, and what is made of them."""
    places = lambda m: m.add(x(2, 5, draw=integers(-9, 9)))
    numbers = const([SIZE - 1, 0, 17, SIZE // 2, -3, 99, 100, 1000, 4])
    yield lambda m: m.op("Gather", numbers, places(m))
    yield lambda m: m.op("Add", m.op("Gather", const([3, 1, 2, 0, 5, 4, 7, 6, 8], np.int32), m.op("Neg", m.op("Abs", m.op("Cast", places(m), to=6)))), const(30, np.int32))
    yield lambda m: m.op("Gather", const(list(range(500, 509))), m.op("Gather", const([8, 0, 7, 1, 6, 2, 5, 3, 4]), places(m)))


def floats():
    """Floats that are integers, or are cut to integers; through views and joins."""
    yield lambda m: m.op("Cast", x(2, 5, draw=uniform(0, SIZE)), to=7)
    yield lambda m: m.op("Cast", x(7, draw=integers(-2000, 2000, np.float16)), to=6)

    def joined(m):
        floats = m.op("Concat", m.add(w(3, 1, draw=uniform(0, 9))), m.op("Transpose", x(4, 3, draw=uniform(-99, 99)), perm=[1, 0]), axis=1)
        return m.op("Add", m.op("Cast", floats, to=7), const(100))

    yield joined


def narrow_row():
    """A table of one axis, and one of three."""
    m = Model("large_table_other_ranks")
    data = table(m)
    line, cube = m.op("Reshape", data, const([-1])), m.op("Reshape", data, const([-1, 6, 8]))
    ids = m.op("Abs", x(6, draw=integers(-SIZE, SIZE)))
    return m.result(m.op("Gather", line, ids, axis=0), m.op("Gather", cube, ids, axis=0))


def on_the_device():
    """Indices that only the device knows."""
    m = Model("large_table_device_indices")
    return m.result(m.op("Gather", table(m), m.op("ArgMax", x(3, 5), axis=1, keepdims=0), axis=0))


def cases():
    yield rows_at("large_table_arithmetic", *arithmetic())
    yield rows_at("large_table_casts", *casts())
    yield rows_at("large_table_replaced", *replaced())
    yield rows_at("large_table_views", *views())
    yield rows_at("large_table_joins", *joins())
    yield rows_at("large_table_looked_up", *looked_up())
    yield rows_at("large_table_floats", *floats())
    yield narrow_row()
    yield on_the_device()
