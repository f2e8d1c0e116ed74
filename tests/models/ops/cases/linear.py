"""MatMul, Gemm and Einsum: weights and activations on either side, odd sizes, transposes.

Deliberately not here: whole attention (blocks.py) and float16 beyond one case.
"""
import numpy as np
from builder import Model, const, half, integers, normal, rows, scaled, single, w, x


def matmul(name, left, right):
    return single(f"matmul_{name}", "MatMul", left, right)


def transposed(name, left, right, perm_left, perm_right):
    """MatMul of two activations, one or both behind a Transpose."""
    m = Model(f"matmul_{name}")
    a, b = m.add(left), m.add(right)
    if perm_left:
        a = m.op("Transpose", a, perm=perm_left)
    if perm_right:
        b = m.op("Transpose", b, perm=perm_right)
    return m.result(m.op("MatMul", a, b))


def bias(name, activation):
    m = Model(f"matmul_{name}")
    y = m.op("Add", m.op("MatMul", x(6, 16), w(16, 20, draw=rows)), w(20))
    return m.result(m.op(activation, y) if activation else y)


def in_parts():
    """Sums that are cut where whole ones leave a device idle, and what the epilogue does with their sum."""
    m = Model("matmul_in_parts")
    v = m.add(x(33, 300))
    dense = m.op("Relu", m.op("Add", m.op("MatMul", v, w(300, 70, draw=rows)), w(70)))
    sliced = m.op("Conv", m.op("Reshape", v, const([1, 33, 15, 20])), w(20, 33, 3, 3, draw=rows), w(20), pads=[1, 1, 1, 1])
    return m.result(m.op("Add", dense, w(33, 70)), m.op("Sigmoid", sliced))


def in_parts_apart():
    """The same where the epilogue has a kernel of its own: operands whose axes lie in another order, and many of them."""
    m = Model("matmul_in_parts_apart")
    dense = m.op("MatMul", x(2, 3, 4, 1024), w(1024, 12, draw=rows))
    swapped = [m.op("Transpose", x(3, 2, 4, 12), perm=[1, 0, 2, 3]) for _ in range(2)]
    dense = m.op("Mul", m.op("Add", dense, swapped[0]), swapped[1])
    sliced = m.op("Conv", x(1, 100, 8, 9), w(12, 100, 3, 3, draw=rows), pads=[1, 1, 1, 1])
    for _ in range(3):
        sliced = m.op("Add", sliced, m.op("Transpose", x(1, 12, 9, 8), perm=[0, 1, 3, 2]))
    return m.result(dense, sliced)


def cases():
    yield matmul("2d_weight", x(8, 16), w(16, 12, draw=rows))
    yield matmul("odd_3x5x7", x(3, 5), w(5, 7, draw=rows))
    yield matmul("odd_65x33x130", x(65, 33), w(33, 130, draw=rows))
    yield in_parts()
    yield in_parts_apart()
    yield matmul("m1", x(1, 64), w(64, 48, draw=rows))
    yield matmul("m1_odd", x(1, 37), w(37, 51, draw=rows))
    yield matmul("n1", x(9, 20), w(20, 1, draw=rows))
    yield matmul("k1", x(5, 1), w(1, 6, draw=rows))
    yield matmul("k_long", x(2, 1030), w(1030, 4, draw=rows))
    yield matmul("3d_weight", x(2, 5, 16), w(16, 12, draw=rows))
    yield matmul("4d_weight", x(1, 2, 5, 12), w(12, 8, draw=rows))
    yield matmul("weight_batched", x(2, 4, 8), w(2, 8, 6, draw=rows))
    yield matmul("weight_left", w(12, 10), x(10, 7))
    yield matmul("weight_left_batched", w(12, 10), x(2, 10, 7))
    yield matmul("vector_right", x(6, 9), w(9, draw=normal))
    yield matmul("vector_left", x(9), w(9, 6, draw=rows))
    yield matmul("f16", x(5, 24, draw=half), w(24, 10, draw=half))
    yield matmul("activations_2d", x(7, 9), x(9, 5))
    yield matmul("activations_3d", x(3, 4, 8), x(3, 8, 5))
    yield matmul("activations_4d", x(1, 2, 6, 8), x(1, 2, 8, 10))
    yield matmul("activations_broadcast", x(1, 3, 4, 8), x(2, 1, 8, 5))
    yield matmul("activations_rank_mismatch", x(2, 3, 4, 8), x(8, 5))
    yield transposed("activations_transpose_b", x(2, 3, 5, 8), x(2, 3, 7, 8), None, [0, 1, 3, 2])
    yield transposed("activations_transpose_a", x(3, 8, 5), x(3, 8, 7), [0, 2, 1], None)
    yield transposed("activations_transpose_both", x(3, 8, 5), x(3, 7, 8), [0, 2, 1], [0, 2, 1])
    yield transposed("activations_heads", x(1, 6, 2, 8), x(1, 9, 2, 8), [0, 2, 1, 3], [0, 2, 3, 1])
    yield bias("bias", None)
    yield bias("bias_relu", "Relu")
    yield bias("bias_sigmoid", "Sigmoid")

    def gemm(name, *args, **attrs):
        return single(f"gemm_{name}", "Gemm", *args, **attrs)

    yield gemm("plain", x(5, 12), w(12, 9, draw=rows), w(9))
    yield gemm("no_bias", x(5, 12), w(12, 9, draw=rows))
    yield gemm("trans_a", x(12, 5), w(12, 9, draw=rows), w(9), transA=1)
    yield gemm("trans_b", x(5, 12), w(9, 12), w(9), transB=1)
    yield gemm("trans_both", x(12, 5), w(9, 12), w(9), transA=1, transB=1)
    yield gemm("alpha_beta", x(5, 12), w(12, 9, draw=rows), w(9), alpha=0.5, beta=-2.0)
    yield gemm("beta_zero", x(5, 12), w(12, 9, draw=rows), w(9), beta=0.0)
    yield gemm("bias_scalar", x(5, 12), w(9, 12), const(0.75, "f4"), transB=1)
    yield gemm("bias_column", x(5, 12), w(9, 12), w(5, 1, draw=normal), transB=1)
    yield gemm("bias_matrix", x(5, 12), w(9, 12), w(5, 9, draw=normal), transB=1)
    yield gemm("bias_runtime", x(5, 12), w(9, 12), x(9), transB=1)
    yield gemm("activations", x(5, 12), x(9, 12), x(5, 9), transB=1)

    def einsum(name, equation, *args):
        return single(f"einsum_{name}", "Einsum", *args, equation=equation)

    yield einsum("qk", "b h i d, b h j d -> b h i j", x(1, 2, 5, 8), x(1, 2, 7, 8))
    yield einsum("pv", "b h i j, b h j d -> b h i d", x(1, 2, 5, 7), x(1, 2, 7, 8))
    yield einsum("weight", "b h i j, h g -> b g i j", x(1, 4, 5, 7), w(4, 4))
    yield einsum("weight_heads", "bsd,dhk->bhsk", x(1, 5, 12), w(12, 3, 4, draw=scaled))
    yield einsum("batched", "bij,bjk->bik", x(3, 4, 8), x(3, 8, 5))
    yield einsum("swapped", "bji,bkj->bik", x(3, 8, 4), x(3, 5, 8))
    yield single("einsum_diagonal", "Einsum", x(2, 4, 4), equation="bii->bi")
    yield single("einsum_three_operands", "Einsum", x(2, 3), x(3, 4), x(4, 2, 5), equation="ij,jk,kil->il")
    yield single("einsum_ellipsis_sum", "Einsum", x(5, 3, 4), x(5, 4, 2), equation="...ij,...jk->...k")
    yield single("cumprod", "CumProd", x(3, 7), const(-1), opset=26, exclusive=1, reverse=1).by_reference()
    yield single("cumprod_i32", "CumProd", x(5, 4, draw=integers(-3, 4, np.int32)), const(0), opset=26).by_reference()
    # What numpy allows and few write: no axes left, other numbers of axes under an ellipsis, axes of size 1.
    yield einsum("to_scalar", "ij->", x(3, 4)).by_reference()
    yield einsum("trace", "ii", x(4, 4)).by_reference()
    yield einsum("trace_batched", "...ii->...", x(2, 3, 4, 4)).by_reference()
    yield einsum("product_to_scalar", "i,i->", x(7), x(7)).by_reference()
    yield einsum("ellipsis_of_one", "...i,i->...", x(2, 3, 4), x(4)).by_reference()
    yield einsum("ellipsis_ranks", "a...,...b->...ab", x(3, 2, 5), x(4, 2, 5, 6)).by_reference().not_standard()
    yield einsum("ellipsis_unequal", "...ij,...jk->...ik", x(2, 3, 4, 5), x(3, 5, 2)).by_reference().not_standard()
    yield einsum("ones_broadcast", "...ij,...jk", x(2, 1, 4, 5), x(1, 3, 5, 2)).by_reference()
    yield einsum("implicit_case", "bA, Ac", x(2, 3), x(3, 4)).by_reference()
    yield einsum("implicit_ellipsis", "b...a", x(2, 3, 4)).by_reference()
    yield einsum("scalar_operand", " , ij -> ji", x(), x(3, 4)).by_reference()
    yield einsum("one_operand_alone", "ij,k->i", x(3, 4), x(5)).by_reference()
    yield einsum("three_ellipses", "...i,...j,i...->ij...", x(2, 3), x(2, 4), x(3, 2)).by_reference()
    whole = integers(-9, 9, np.int32)
    yield einsum("integers", "ij,jk->ik", x(3, 4, draw=whole), x(4, 5, draw=whole)).by_reference()
    yield single("matmul_i32", "MatMul", x(2, 3, 4, draw=integers(-2**20, 2**20, np.int32)),
                 x(4, 2, draw=integers(-2**9, 2**9, np.int32)))
