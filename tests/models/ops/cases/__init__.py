"""The test cases of make_ops.py, grouped by kind of operator.

`ALL` is the only list of groups; each group is a module with one generator function `cases()` that
yields `Model`s. Deliberately not here: running or writing the models (builder.py).
"""
from . import (attention, blocks, contributed, conv, elementwise, half, indexing, linear, norm, pool, quantised, recurrent,
               reduce, regions, resize, shape)

ALL = [linear, conv, pool, norm, reduce, elementwise, shape, indexing, resize, quantised, recurrent, regions, contributed,
       half, blocks, attention]
