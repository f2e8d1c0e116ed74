"""Element-wise operators: unary, activations, binary with broadcasting, comparison, logic, Cast.

Inputs stay inside each function's domain and away from its poles; rounding functions get multiples
of 1/8, which are exact in float16 too. Boolean results leave the graph through Where or Cast, and
once as they are. Deliberately not here: NaN and infinity.
"""
from builder import Model, booleans, const, eighths, integers, normal, single, uniform, w, x

WIDE = uniform(-3.0, 3.0)
POSITIVE = uniform(0.2, 4.0)
UNIT = uniform(-0.9, 0.9)

UNARY = {  # operator -> draw
    "Abs": WIDE, "Neg": WIDE, "Exp": WIDE, "Log": POSITIVE, "Sqrt": POSITIVE, "Reciprocal": POSITIVE,
    "Floor": eighths, "Ceil": eighths, "Round": eighths, "Sign": eighths,
    "Sin": WIDE, "Cos": WIDE, "Tan": uniform(-1.2, 1.2), "Asin": UNIT, "Acos": UNIT, "Atan": WIDE,
    "Sinh": WIDE, "Cosh": WIDE, "Asinh": WIDE, "Acosh": uniform(1.2, 4.0), "Atanh": UNIT,
    "Sigmoid": WIDE, "Tanh": WIDE, "Erf": WIDE, "Relu": WIDE, "Softplus": WIDE, "Softsign": WIDE, "HardSwish": uniform(-5.0, 5.0),
}
UNARY_WITH_ATTRIBUTES = [  # name, operator, attributes
    ("leakyrelu", "LeakyRelu", {}), ("leakyrelu_alpha", "LeakyRelu", {"alpha": 0.2}),
    ("elu", "Elu", {}), ("elu_alpha", "Elu", {"alpha": 0.5}),
    ("selu", "Selu", {}), ("selu_alpha_gamma", "Selu", {"alpha": 1.5, "gamma": 0.8}), ("celu", "Celu", {"alpha": 0.7}),
    ("hardsigmoid", "HardSigmoid", {}), ("hardsigmoid_alpha_beta", "HardSigmoid", {"alpha": 1.0 / 6.0, "beta": 0.5}),
    ("thresholdedrelu", "ThresholdedRelu", {"alpha": 0.5}),
]
FLOAT_COMPARISONS = ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]
LOGIC = ["And", "Or", "Xor"]
MIN_F32 = float.fromhex("-0x1.fffffep+127")


def unary_cases():
    for op_type, draw in UNARY.items():
        yield single(f"unary_{op_type.lower()}", op_type, x(3, 37, draw=draw))
    for name, op_type, attrs in UNARY_WITH_ATTRIBUTES:
        yield single(f"unary_{name}", op_type, x(3, 37, draw=WIDE), **attrs)
    yield single("unary_tanh_saturated", "Tanh", x(3, 11, draw=uniform(-100, 100)))
    yield single("unary_sigmoid_saturated", "Sigmoid", x(3, 11, draw=uniform(-100, 100)))
    yield single("unary_neg_i64", "Neg", x(3, 7, draw=integers(-9, 10)))
    yield single("unary_relu_5d", "Relu", x(2, 3, 2, 3, 5))
    yield single("unary_mish", "Mish", x(3, 37, draw=WIDE), opset=18)
    for mode in ("none", "tanh"):
        yield single(f"unary_gelu_{mode}", "Gelu", x(3, 37, draw=WIDE), opset=20, approximate=mode)
    yield single("clip_both", "Clip", x(3, 37, draw=WIDE), const(-0.5, "f4"), const(1.25, "f4"))
    yield single("clip_relu6", "Clip", x(3, 37, draw=uniform(-3, 9)), const(0.0, "f4"), const(6.0, "f4"))
    yield single("clip_min_only", "Clip", x(3, 37, draw=WIDE), const(-0.5, "f4"))
    yield single("clip_max_only", "Clip", x(3, 37, draw=WIDE), "", const(0.5, "f4"))
    yield single("prelu_channel", "PRelu", x(1, 6, 5, 5), w(6, 1, 1, draw=uniform(0.05, 0.5)))
    yield single("prelu_scalar", "PRelu", x(1, 6, 5, 5), w(1, draw=uniform(0.05, 0.5)))
    yield single("prelu_full", "PRelu", x(2, 7), w(2, 7, draw=uniform(0.05, 0.5)))


def gelu_erf(m, value):
    """0.5 x (1 + erf(x / sqrt 2)), as torch exports it."""
    half = m.op("Mul", value, m.op("Add", m.op("Erf", m.op("Div", value, const(2.0**0.5, "f4"))), const(1.0, "f4")))
    return m.op("Mul", half, const(0.5, "f4"))


def gelu_tanh(m, value, cube="pow"):
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), as GPT-Neo spells it."""
    third = m.op("Pow", value, const(3.0, "f4")) if cube == "pow" else m.op("Mul", m.op("Mul", value, value), value)
    inner = m.op("Add", value, m.op("Mul", third, const(0.044715, "f4")))
    tanh = m.op("Tanh", m.op("Mul", inner, const((2.0 / 3.141592653589793) ** 0.5, "f4")))
    return m.op("Mul", m.op("Mul", value, const(0.5, "f4")), m.op("Add", tanh, const(1.0, "f4")))


def spelled_out_cases():
    m = Model("gelu_erf_spelled_out")
    yield m.result(gelu_erf(m, m.add(x(3, 37, draw=WIDE))))
    for cube in ("pow", "mul"):
        m = Model(f"gelu_tanh_spelled_out_{cube}")
        yield m.result(gelu_tanh(m, m.add(x(3, 37, draw=WIDE)), cube))
    m = Model("silu_spelled_out")
    value = m.add(x(3, 37, draw=WIDE))
    yield m.result(m.op("Mul", value, m.op("Sigmoid", value)))
    m = Model("quick_gelu_spelled_out")
    value = m.add(x(3, 37, draw=WIDE))
    yield m.result(m.op("Mul", value, m.op("Sigmoid", m.op("Mul", value, const(1.702, "f4")))))
    m = Model("hardswish_spelled_out")
    value = m.add(x(3, 37, draw=uniform(-5.0, 5.0)))
    gate = m.op("Clip", m.op("Add", value, const(3.0, "f4")), const(0.0, "f4"), const(6.0, "f4"))
    yield m.result(m.op("Div", m.op("Mul", value, gate), const(6.0, "f4")))


def binary_cases():
    for op_type in ("Add", "Sub", "Mul", "Div"):
        stem, right = op_type.lower(), POSITIVE if op_type == "Div" else normal
        yield single(f"{stem}_same_shape", op_type, x(3, 4, 5), x(3, 4, 5, draw=right))
        yield single(f"{stem}_last_axis", op_type, x(3, 4, 5), w(5, draw=right))
        yield single(f"{stem}_channels", op_type, x(2, 3, 4, 5), w(3, 1, 1, draw=right))
        yield single(f"{stem}_both_broadcast", op_type, x(4, 1, 6), x(1, 5, 1, draw=right))
        yield single(f"{stem}_scalar", op_type, x(3, 7), const(1.7, "f4"))
        yield single(f"{stem}_scalar_left", op_type, const(1.7, "f4"), x(3, 7, draw=right))
    yield single("add_rank_mismatch", "Add", x(5), x(2, 3, 1))
    yield single("add_middle_axis", "Add", x(2, 3, 4, 5), x(3, 1, 5))
    yield single("add_5d", "Add", x(2, 3, 2, 2, 4), x(1, 3, 1, 2, 1))
    yield single("add_i64", "Add", x(3, 5, draw=integers(-9, 10)), x(5, draw=integers(-9, 10)))
    yield single("mul_i32", "Mul", x(3, 5, draw=integers(-9, 10, "i4")), x(3, 5, draw=integers(-9, 10, "i4")))
    yield single("div_i64", "Div", x(3, 5, draw=integers(0, 50)), x(3, 5, draw=integers(1, 9)))
    yield single("pow_runtime", "Pow", x(3, 7, draw=POSITIVE), x(3, 7, draw=uniform(-1.5, 2.0)))
    yield single("pow_square", "Pow", x(3, 7), const(2.0, "f4"))
    yield single("pow_cube", "Pow", x(3, 7), const(3.0, "f4"))
    yield single("pow_half", "Pow", x(3, 7, draw=POSITIVE), const(0.5, "f4"))
    yield single("pow_minus_half", "Pow", x(3, 7, draw=POSITIVE), const(-0.5, "f4"))
    for op_type in ("Min", "Max"):
        yield single(f"{op_type.lower()}_two", op_type, x(3, 7), x(3, 7))
        yield single(f"{op_type.lower()}_three_broadcast", op_type, x(3, 7), x(7), w(3, 1, draw=normal))
        yield single(f"{op_type.lower()}_scalar", op_type, x(3, 7), const(0.25, "f4"))
    yield single("sum_three", "Sum", x(3, 7), x(7), w(3, 1, draw=normal))
    yield single("mean_three", "Mean", x(3, 7), x(3, 7), x(3, 7))
    yield single("mod_f32_fmod", "Mod", x(3, 7, draw=uniform(-7.0, 7.0)), x(3, 7, draw=uniform(1.0, 3.0)), fmod=1)
    yield single("mod_i64", "Mod", x(3, 7, draw=integers(-20, 21)), x(3, 7, draw=integers(1, 6)))


def comparison_cases():
    for op_type in FLOAT_COMPARISONS:
        m = Model(f"{op_type.lower()}_where")
        a, b = m.add(x(4, 9, draw=eighths)), m.add(x(4, 9, draw=eighths))
        a, b = m.op("Round", a), m.op("Round", b)  # whole numbers, so that some are equal
        yield m.result(m.op("Where", m.op(op_type, a, b), x(4, 9), w(4, 9, draw=normal)))
    yield single("less_bool_output", "Less", x(4, 9), x(9))
    yield single("equal_i64_bool_output", "Equal", x(4, 9, draw=integers(0, 3)), const([1]))
    yield single("where_runtime_condition", "Where", x(4, 9, draw=booleans), x(4, 9), x(4, 9))
    yield single("where_broadcast", "Where", x(1, 1, 4, 4, draw=booleans), x(1, 3, 4, 4), const(-2.0, "f4"))
    yield single("where_constant_mask", "Where", const([[[[1, 0, 0], [1, 1, 0], [1, 1, 1]]]], bool), x(1, 2, 3, 3), const(-1e4, "f4"))


def logic_cases():
    for op_type in LOGIC:
        m = Model(f"{op_type.lower()}_cast")
        both = m.op(op_type, x(4, 9, draw=booleans), m.op("Greater", x(4, 9), const(0.0, "f4")))
        yield m.result(m.op("Cast", both, to=1))
    m = Model("not_cast")
    yield m.result(m.op("Cast", m.op("Not", x(4, 9, draw=booleans)), to=1))
    yield single("and_bool_output", "And", x(4, 9, draw=booleans), x(9, draw=booleans))


def cast_cases():
    yield single("cast_f32_i32", "Cast", x(3, 9, draw=eighths), to=6)
    yield single("cast_f32_i64", "Cast", x(3, 9, draw=eighths), to=7)
    yield single("cast_i32_f32", "Cast", x(3, 9, draw=integers(-1000, 1000, "i4")), to=1)
    yield single("cast_i64_f32", "Cast", x(3, 9, draw=integers(-1000, 1000)), to=1)
    yield single("cast_bool_f32", "Cast", x(3, 9, draw=booleans), to=1)
    m = Model("cast_f32_bool_f32")
    yield m.result(m.op("Cast", m.op("Cast", x(3, 9, draw=integers(-1, 2, "f4")), to=9), to=1))
    m = Model("cast_f32_f16_f32")
    yield m.result(m.op("Cast", m.op("Cast", x(3, 9), to=10), to=1))
    m = Model("cast_i64_i32_add")
    yield m.result(m.op("Add", m.op("Cast", x(3, 9, draw=integers(-99, 99)), to=6), const(5, "i4")))


def cases():
    yield single("swish_alpha", "Swish", x(3, 5), opset=24, alpha=1.5).by_reference()
    yield single("swiglu_alpha", "SwiGLU", x(3, 5), x(3, 5), opset=28, alpha=0.5).by_reference()
    yield from unary_cases()
    yield from spelled_out_cases()
    yield from binary_cases()
    yield from comparison_cases()
    yield from logic_cases()
    yield from cast_cases()
