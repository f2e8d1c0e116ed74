"""Operators that move data: Gather, Concat, Slice, Split, Pad, Transpose, Reshape and their kin.

Deliberately not here: shapes that depend on runtime values, GatherND and scatter operators.
"""
from builder import Model, const, integers, normal, scaled, single, w, x

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


def gather_cases():
    def gather(name, data, indices, axis):
        return single(f"gather_{name}", "Gather", data, indices, axis=axis)

    table = w(20, 8, draw=normal)
    yield gather("rows", table, x(6, draw=integers(0, 20)), 0)
    yield gather("rows_2d_indices", table, x(1, 5, draw=integers(0, 20)), 0)
    yield gather("rows_i32_indices", table, x(5, draw=integers(0, 20, "i4")), 0)
    yield gather("rows_negative_indices", table, x(5, draw=integers(-20, 0)), 0)
    yield gather("rows_odd_width", w(11, 7, draw=normal), x(9, draw=integers(0, 11)), 0)
    yield gather("axis1", w(4, 9, 3, draw=normal), x(5, draw=integers(0, 9)), 1)
    yield gather("activation", x(6, 5), x(4, draw=integers(0, 6)), 0)
    yield gather("activation_axis1", x(2, 6, 5), x(4, draw=integers(0, 6)), 1)
    yield gather("constant_indices", x(2, 6, 5), const([4, 0, 5, 5]), 1)
    yield gather("constant_scalar", x(2, 6, 5), const(0), 1)
    yield gather("constant_negative_scalar", x(2, 6, 5), const(-1), 1)
    yield gather("last_axis", x(3, 7), const([6, 2, 2, 0]), -1)


def join_cases():
    yield single("concat_axis0", "Concat", x(2, 5), x(1, 5), x(3, 5), axis=0)
    yield single("concat_axis1", "Concat", x(2, 3, 4), x(2, 1, 4), x(2, 5, 4), axis=1)
    yield single("concat_last", "Concat", x(3, 2), x(3, 5), x(3, 1), axis=-1)
    yield single("concat_channels", "Concat", x(1, 4, 3, 3), x(1, 6, 3, 3), axis=1)
    yield single("concat_constant", "Concat", w(1, 1, 8, draw=normal), x(1, 6, 8), axis=1)
    m = Model("concat_same_twice")
    value = m.add(x(3, 4))
    yield m.result(m.op("Concat", value, value, axis=0))
    yield single("split_equal", "Split", x(2, 9), outputs=3, axis=1)
    yield single("split_sizes", "Split", x(2, 9, 3), const([2, 3, 4]), outputs=3, axis=1)
    yield single("split_first", "Split", x(7, 3), const([5, 2]), outputs=2, axis=0)
    m = Model("split_add")
    parts = m.op("Split", x(1, 5, 24), const([8, 8, 8]), outputs=3, axis=-1)
    yield m.result(m.op("Add", m.op("Mul", parts[0], parts[1]), parts[2]))


def slice_cases():
    def cut(name, data, starts, ends, axes, steps=None):
        operands = [data, const(starts), const(ends), const(axes)] + ([const(steps)] if steps else [])
        return single(f"slice_{name}", "Slice", *operands)

    yield cut("last", x(3, 10), [2], [7], [1])
    yield cut("first", x(6, 5), [1], [4], [0])
    yield cut("many_axes", x(4, 6, 8), [1, 2, 0], [3, 6, 7], [0, 1, 2])
    yield cut("negative", x(3, 10), [-6], [-1], [-1])
    yield cut("to_end", x(3, 10), [4], [INT64_MAX], [1])
    yield cut("steps", x(5, 11), [0, 1], [5, 11], [0, 1], [2, 3])
    yield cut("reverse", x(3, 7), [-1], [INT64_MIN], [1], [-1])
    yield cut("negative_steps", x(8, 7), [7, 5], [0, -8], [0, 1], [-2, -3])
    yield cut("heads", x(1, 6, 24), [8], [16], [2])
    # Strides behind a reshape of their axis, the second those of a convolution.
    m = Model("slice_steps_after_reshape")
    rows = m.op("Reshape", x(1, 12, 4), const([1, 4, 3, 4]))
    yield m.result(m.op("Slice", rows, const([0, 2]), const([4, INT64_MIN]), const([1, 2]), const([2, -2])))
    m = Model("conv_strides_after_reshape")
    image = m.op("Reshape", m.op("Transpose", x(1, 16, 3), perm=[0, 2, 1]), const([1, 3, 4, 4]))
    yield m.result(m.op("Conv", image, w(5, 3, 1, 1), strides=[2, 2]))


def pad_cases():
    def pad(name, data, pads, *value, **attrs):
        return single(f"pad_{name}", "Pad", data, const(pads), *value, **attrs)

    yield pad("zeros", x(1, 2, 4, 5), [0, 0, 1, 2, 0, 0, 3, 1])
    yield pad("constant", x(3, 5), [1, 0, 2, 3], const(-1.5, "f4"))
    yield pad("channels", x(1, 3, 4, 4), [0, 1, 0, 0, 0, 2, 0, 0])
    yield pad("crop", x(4, 8), [0, -1, 1, -2])
    yield pad("reflect", x(1, 2, 5, 6), [0, 0, 2, 1, 0, 0, 1, 3], mode="reflect")
    yield pad("edge", x(1, 2, 5, 6), [0, 0, 2, 1, 0, 0, 1, 3], mode="edge")


def layout_cases():
    perms = {
        "2d": ((5, 9), [1, 0]), "3d_021": ((2, 5, 7), [0, 2, 1]), "3d_210": ((2, 5, 7), [2, 1, 0]), "3d_102": ((4, 5, 6), [1, 0, 2]),
        "4d_0213": ((1, 6, 3, 4), [0, 2, 1, 3]), "4d_0231": ((1, 3, 5, 4), [0, 2, 3, 1]), "4d_0312": ((1, 5, 4, 3), [0, 3, 1, 2]),
        "5d": ((2, 3, 2, 4, 3), [2, 0, 3, 1, 4]), "6d_patches": ((1, 3, 2, 4, 2, 4), [0, 2, 4, 3, 5, 1]),
        "6d_windows": ((1, 2, 3, 2, 3, 4), [0, 1, 3, 2, 4, 5]), "6d_reversed": ((1, 2, 3, 2, 2, 3), [5, 4, 3, 2, 1, 0]),
    }
    for name, (dims, perm) in perms.items():
        yield single(f"transpose_{name}", "Transpose", x(*dims), perm=perm)
    yield single("transpose_default", "Transpose", x(3, 4, 5))
    m = Model("transpose_add")
    yield m.result(m.op("Add", m.op("Transpose", x(6, 5), perm=[1, 0]), x(5, 6)))
    yield single("reshape_merge", "Reshape", x(2, 3, 4), const([6, 4]))
    yield single("reshape_split", "Reshape", x(1, 6, 24), const([1, 6, 3, 8]))
    yield single("reshape_minus_one_zero", "Reshape", x(2, 3, 4), const([0, -1]))
    m = Model("reshape_from_shape")
    value = m.add(x(2, 3, 4))
    rows = m.op("Unsqueeze", m.op("Gather", m.op("Shape", value), const(0), axis=0), const([0]))
    yield m.result(m.op("Reshape", value, m.op("Concat", rows, const([-1]), axis=0)))
    m = Model("reshape_transpose_reshape")
    heads = m.op("Transpose", m.op("Reshape", x(1, 5, 12), const([1, 5, 3, 4])), perm=[0, 2, 1, 3])
    yield m.result(m.op("Reshape", heads, const([3, 20])))
    yield single("flatten_axis1", "Flatten", x(2, 3, 4), axis=1)
    yield single("flatten_axis2", "Flatten", x(2, 3, 4, 2), axis=2)
    yield single("flatten_axis0", "Flatten", x(2, 3, 4), axis=0)
    yield single("squeeze_axes", "Squeeze", x(1, 3, 1, 4), const([0, 2]))
    yield single("squeeze_all", "Squeeze", x(1, 3, 1, 4))
    yield single("unsqueeze", "Unsqueeze", x(3, 4), const([0, -1]))
    yield single("identity", "Identity", x(3, 4))
    yield single("dropout_inference", "Dropout", x(3, 4))


def repeat_cases():
    yield single("expand_last", "Expand", x(3, 1), const([3, 6]))
    yield single("expand_new_axes", "Expand", x(4, 1), const([2, 3, 4, 5]))
    yield single("expand_by_one", "Expand", x(3, 4), const([1, 1]))
    # A broadcast in front of a product over what is joined.
    m = Model("expand_concat_product")
    first = m.op("Expand", x(1, 1, 8), const([1, 4, 8]))
    joined = m.op("Concat", x(1, 4, 8), first, axis=-1)
    yield m.result(m.op("MatMul", joined, w(16, 6)))
    yield single("tile_2d", "Tile", x(2, 3), const([3, 2]))
    yield single("tile_4d", "Tile", x(1, 2, 3, 2), const([2, 1, 2, 3]))
    yield single("depth_to_space_dcr", "DepthToSpace", x(1, 12, 3, 4), blocksize=2, mode="DCR")
    yield single("depth_to_space_crd", "DepthToSpace", x(1, 12, 3, 4), blocksize=2, mode="CRD")
    yield single("space_to_depth", "SpaceToDepth", x(1, 3, 4, 6), blocksize=2)
    yield single("space_to_depth_crd", "SpaceToDepth", x(2, 3, 4, 6), blocksize=2, mode="CRD", opset=28).by_reference()
    yield single("cumsum", "CumSum", x(3, 7), const(1))
    m = Model("constant_of_shape_add")
    yield m.result(m.op("Add", x(3, 4), m.op("ConstantOfShape", const([3, 4]))))
    m = Model("embedding_then_head")
    hidden = m.op("Gather", w(30, 12, draw=normal), x(1, 5, draw=integers(0, 30)), axis=0)
    yield m.result(m.op("MatMul", hidden, w(12, 30, draw=scaled)))


def cases():
    yield from gather_cases()
    yield from join_cases()
    yield from slice_cases()
    yield from pad_cases()
    yield from layout_cases()
    yield from repeat_cases()
