"""Weights that the file keeps as small integers: per tensor, per axis, in blocks, and ONNX Runtime's own packed forms.

Scales of either sign, odd counts of blocks, short last blocks, packed zero points. Deliberately not here: integers of 2 bits, which
the pinned versions do not have, and random models (../../quantized/exactness.py).
"""
import ml_dtypes
import numpy as np
from builder import Model, const, half, integers, normal, single, w, x

MS = dict(domain="com.microsoft")
INT4, UINT4 = ml_dtypes.int4, ml_dtypes.uint4
BYTES = integers(0, 256, np.uint8)


def narrow(low, high, dtype):
    return lambda rng, shape: rng.integers(low, high, shape).astype(np.int32).astype(dtype)


def i4(*shape):
    return w(*shape, draw=narrow(-8, 8, INT4))


def u4(*shape):
    return w(*shape, draw=narrow(0, 16, UINT4))


def i8(*shape):
    return w(*shape, draw=integers(-128, 128, np.int8))


def u8(*shape):
    return w(*shape, draw=BYTES)


def scales(*shape, dtype=np.float32):
    return w(*shape, draw=lambda rng, shape: np.asarray(rng.standard_normal(shape) * 0.1, dtype))


def unit(size, dtype=np.float32):
    return x(size, size, draw=lambda *_: np.eye(size, dtype=dtype))


def product(name, *args, opset=21, **attributes):
    """A product with a dequantised weight."""
    m = Model(name, opset)
    weight = m.op("DequantizeLinear", *args, **attributes)
    return m.result(m.op("MatMul", x(3, args[0].shape[0]), weight))


def nbits(name, k, n, bits, block, zeros=None, bias=False, dtype=np.float32, a=None):
    blocks = -(-k // block)
    args = [a or x(2, 3, k, draw=half if dtype == np.float16 else normal), u8(n, blocks, block * bits // 8), scales(n, blocks, dtype=dtype)]
    if zeros == "packed":
        args.append(u8(n, -(-blocks * bits // 8)))
    elif zeros == "floats":
        args.append(w(n, blocks, draw=lambda rng, shape: np.asarray(rng.uniform(-2, 17, shape), dtype)))
    if bias:
        args += [""] * (5 - len(args)) + [w(n, draw=half if dtype == np.float16 else normal)]
    return single(name, "MatMulNBits", *args, K=k, N=n, bits=bits, block_size=block, opset=21, **MS)


def table(name, data, block, zeros=None, dtype=np.float32, **attributes):
    bits = attributes.get("bits", 4)
    shape = list(data.shape)
    if data.draw is BYTES:
        shape[-1] = shape[-1] * 8 // bits
    along = attributes.get("quantize_axis", 1)
    scale = list(shape)
    scale[along] = -(-scale[along] // block)
    args = [data, x(2, 3, draw=integers(0, shape[attributes.get("gather_axis", 0)])), scales(*scale, dtype=dtype)]
    if zeros:
        args.append(zeros)
    return single(name, "GatherBlockQuantized", *args, block_size=block, opset=21, **attributes, **MS)


def tied(name):
    """One packed table for the embedding and for the head."""
    m = Model(name, 21)
    data, scale = m.add(u8(11, 2, 8)), m.add(scales(11, 2))
    flat = m.op("Reshape", data, const([11, 16]))
    rows = m.op("GatherBlockQuantized", flat, x(5, draw=integers(0, 11)), scale, bits=4, block_size=16, quantize_axis=1, **MS)
    return m.result(m.op("MatMulNBits", rows, data, scale, K=32, N=11, bits=4, block_size=16, **MS))


def requantised(name):
    """Floats that are quantised and dequantised where they stand, as training with quantisation leaves them."""
    m = Model(name, 21)
    weight, scale, zero = m.add(w(4, 3, 3, 3)), m.add(const([0.01, -0.02, 0.03, 0.015], np.float32)), m.add(const([0, 3, -5, 1], np.int8))
    integers_ = m.op("QuantizeLinear", weight, scale, zero, axis=0)
    back = m.op("DequantizeLinear", integers_, scale, zero, axis=0)
    bias = m.op("DequantizeLinear", const([10, -400, 900, 0], np.int32), const([1e-3, 2e-3, -1e-3, 1e-2], np.float32), axis=0)
    return m.result(m.op("Conv", x(1, 3, 5, 5), back, bias))


def moved(name):
    """Rows of integers, dequantised behind the gather; the same table transposed is a weight."""
    m = Model(name, 21)
    data, scale, zero = m.add(u8(9, 7)), m.add(const(-0.05, np.float32)), m.add(const(131, np.uint8))
    rows = m.op("DequantizeLinear", m.op("Gather", data, x(4, draw=integers(-9, 9))), scale, zero)
    turned = m.op("DequantizeLinear", m.op("Transpose", data, perm=[1, 0]), scale, zero)
    return m.result(m.op("MatMul", rows, turned))


def read_twice(name):
    """Rows of integers that are dequantised, and read as integers, too."""
    m = Model(name, 21)
    rows = m.op("Gather", u8(9, 7), x(4, draw=integers(-9, 9)))
    return m.result(m.op("DequantizeLinear", rows, const(-0.05, np.float32), const(131, np.uint8)), m.op("Cast", rows, to=6))


def halves(name):
    m = Model(name, 21)
    weight = m.op("DequantizeLinear", i4(6, 5), scales(3, 5, dtype=np.float16), axis=0, block_size=2)
    return m.result(m.op("MatMul", x(3, 6, draw=half), weight))


def cases():
    f32 = lambda *values: const(values[0] if len(values) == 1 else values, np.float32)
    yield product("dequantised_int4_tensor", i4(7, 5), f32(-0.3), const(-2, INT4))
    yield product("dequantised_uint4_axis", u4(7, 5), scales(5), w(5, draw=narrow(0, 16, UINT4)), axis=-1)
    yield product("dequantised_int4_blocks_of_rows", i4(10, 5), scales(4, 5), w(4, 5, draw=narrow(-8, 8, INT4)), axis=0, block_size=3)
    yield product("dequantised_int8_blocks_of_columns", i8(6, 7), scales(6, 2), w(6, 2, draw=integers(-128, 128, np.int8)), axis=1, block_size=4)
    yield product("dequantised_int16_axis", w(4, 5, draw=integers(-32768, 32768, np.int16)), scales(4), axis=0)
    yield product("dequantised_float8", w(4, 5, draw=lambda rng, shape: rng.standard_normal(shape).astype(ml_dtypes.float8_e4m3fn)), scales(4), axis=0)
    m = Model("dequantised_not_at_all", 21)
    yield m.result(m.op("Cast", m.op("Gather", i8(400, 48), x(2, 3, draw=integers(-400, 400))), to=6))
    yield halves("dequantised_float16_blocks")
    yield requantised("dequantised_of_floats")
    yield moved("dequantised_behind_moves")
    yield read_twice("dequantised_and_read")
    for bits, k, block, zeros in [(4, 32, 16, None), (4, 37, 16, "packed"), (4, 40, 32, "floats"), (8, 50, 16, None), (8, 50, 32, "packed")]:
        yield nbits(f"ms_matmulnbits_{bits}_{zeros or 'symmetric'}_{k}", k, 9, bits, block, zeros, bias=k != 32)
    yield nbits("ms_matmulnbits_weight", 37, 9, 4, 16, "packed", a=unit(37))
    yield nbits("ms_matmulnbits_float16", 48, 9, 4, 16, "packed", bias=True, dtype=np.float16)
    yield table("ms_gatherblockquantized_uint8", u8(11, 20), 16, bits=4, quantize_axis=1)
    yield table("ms_gatherblockquantized_uint8_zeros", u8(11, 32), 16, u8(11, 2), bits=4, quantize_axis=1)
    yield table("ms_gatherblockquantized_int4_columns", i4(37, 6), 16, quantize_axis=0, gather_axis=1)
    yield table("ms_gatherblockquantized_uint4", u4(11, 33), 32, u4(11, 2), quantize_axis=-1)
    yield tied("ms_quantised_embedding_then_head")
    grouped = single("ms_matmulnbits_refused_g_idx", "MatMulNBits", x(2, 32), u8(4, 2, 8), scales(4, 2), "", const(np.arange(32) // 16, np.int32), K=32, N=4, bits=4, block_size=16, opset=21, **MS)
    yield grouped.invalid([2, 4])
    computed = single("ms_matmulnbits_refused_input", "MatMulNBits", x(2, 32), x(4, 2, 8, draw=BYTES), scales(4, 2), K=32, N=4, bits=4, block_size=16, opset=21, **MS)
    yield computed.invalid([2, 4])
    yield nbits("ms_matmulnbits_refused_3_bits", 32, 4, 3, 16).invalid([2, 3, 4])
