// functions.wgsl -- element-wise functions with a known error, linked before the generated expression.
//
// Built-in transcendental functions differ widely between drivers (WGSL allows sin an absolute error of 2^-11), so that
// these are written out with additions, multiplications and bit operations. Relative errors are below 1e-6 unless noted.
// Polynomials of expf, logf, sinf, cosf and the like are those of the Cephes Math Library (netlib.org/cephes), single
// precision; those of erf are the faithfully rounded erff of stackoverflow.com/q/35148198. NaN passes through. Infinities are
// made from bits: WGSL has no literal for them. Deliberately no bindings and no loops whose length depends on shapes.

fn float_from_bits(bits: u32) -> f32 { return bitcast<f32>(bits); }

// A value through which no compiler sees: `zero` is 0, but only at run time.
fn hidden_f32(value: f32, zero: u32) -> f32 { return bitcast<f32>(bitcast<u32>(value) ^ zero); }

fn is_nan_f32(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

fn is_inf_f32(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }

fn with_sign_of(magnitude: f32, sign_source: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(magnitude) & 0x7fffffffu) | (bitcast<u32>(sign_source) & 0x80000000u));
}

// x where it is NaN, `value` elsewhere.
fn keep_nan(x: f32, value: f32) -> f32 { return select(value, x, is_nan_f32(x)); }

// 2^n for -126 <= n <= 127.
fn power_of_two(n: i32) -> f32 { return bitcast<f32>(u32(n + 127) << 23u); }

// ((a x + c.x) x + c.y) x ... with c.w last: four more steps of a polynomial.
fn polynomial(a: f32, x: f32, c: vec4<f32>) -> f32 { return (((a * x + c.x) * x + c.y) * x + c.z) * x + c.w; }

// e^x. The scale is applied in two halves, so that the largest results and overflow to infinity come out right.
fn exp_f32(x: f32) -> f32 {
    let clamped = clamp(x, -104.0, 89.0);
    let n = round(clamped * 1.44269504);
    let r = (clamped - n * 0.693359375) + n * 2.12194440e-4;
    let e = polynomial(1.9875691500e-4, r, vec4<f32>(1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1));
    let p = (e * r + 5.0000001201e-1) * r * r + r + 1.0;
    let half_n = i32(n) >> 1u;
    return keep_nan(x, p * power_of_two(half_n) * power_of_two(i32(n) - half_n));
}

// ln(m) for 1/sqrt(2) <= m < sqrt(2).
fn log_mantissa(m: f32) -> f32 {
    let r = m - 1.0;
    let z = r * r;
    let high = vec4<f32>(-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1);
    let low = vec4<f32>(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1);
    let p = polynomial(polynomial(7.0376836292e-2, r, high), r, low);
    return r + (p * r * z - 0.5 * z);
}

// A positive finite x as m * 2^e with 1/sqrt(2) <= m < sqrt(2): (m, e). A subnormal x is its bits times 2^-149, so that a
// device that flushes subnormal operands to zero gives the same.
fn split_float(x: f32) -> vec2<f32> {
    let own = bitcast<u32>(x);
    let small = own < 0x00800000u;
    let bits = select(own, bitcast<u32>(f32(own)), small);
    let raw_exponent = i32(bits >> 23u) - select(127, 276, small);
    let m = bitcast<f32>((bits & 0x007fffffu) | 0x3f800000u);
    let high = m >= 1.41421354;
    return vec2<f32>(select(m, 0.5 * m, high), f32(raw_exponent + select(0, 1, high)));
}

// ln x; -inf at 0, NaN below.
fn log_f32(x: f32) -> f32 {
    let s = split_float(x);
    let y = s.y * 0.693359375 + (log_mantissa(s.x) - s.y * 2.12194440e-4);
    let bits = bitcast<u32>(x);
    let special = select(float_from_bits(0x7fc00000u), float_from_bits(0xff800000u), (bits & 0x7fffffffu) == 0u);
    let positive = bits - 1u < 0x7f7fffffu;
    return select(select(special, y, positive), x, is_nan_f32(x) || bits == 0x7f800000u);
}

// ln(1 + x) for x > -0.3, without losing small x.
fn log1p_f32(x: f32) -> f32 {
    if (x > 0.5 || is_nan_f32(x) || x < -0.3) { return log_f32(1.0 + x); }
    let s = x / (2.0 + x);
    let z = s * s;
    let p = polynomial(0.0769230769, z, vec4<f32>(0.0909090909, 0.1111111111, 0.1428571429, 0.2)) * z + 0.3333333333;
    return 2.0 * (s + s * z * p);
}

fn sigmoid_f32(x: f32) -> f32 {
    let e = exp_f32(-abs(x));
    return keep_nan(x, select(e, 1.0, x >= 0.0) / (1.0 + e));
}

fn tanh_f32(x: f32) -> f32 {
    let a = abs(x);
    let z = a * a;
    let c = vec4<f32>(2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1);
    let near = a + a * z * polynomial(-5.70498872745e-3, z, c);
    let far = 1.0 - 2.0 / (exp_f32(2.0 * min(a, 20.0)) + 1.0);
    return keep_nan(x, with_sign_of(select(far, near, a < 0.625), x));
}

// ln erfc(t) for 0.92 < t <= 10.
fn log_erfc(t: f32) -> f32 {
    let high = (-1.72853470e-5 * t + 3.83197126e-4) * (t * t) + (-3.88396438e-3 * t + 2.42546219e-2);
    return polynomial(high, t, vec4<f32>(-1.06777877e-1, -6.34846687e-1, -1.28717512e-1, -t));
}

// erf(x) / x - 1 for |x| <= 0.93, from x^2.
fn erf_excess(s: f32) -> f32 {
    let c = vec4<f32>(4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1);
    return polynomial(-5.96761703e-4, s, c) * s + 1.28379166e-1;
}

fn erf_f32(x: f32) -> f32 {
    let t = abs(x);
    let near = x + x * erf_excess(x * x);
    let far = with_sign_of(1.0 - exp_f32(log_erfc(min(t, 10.0))), x);
    return keep_nan(x, select(near, far, t > 0.927734375));
}

// 0.5 x (1 + erf(x / sqrt(2))); the left tail goes through erfc, so that it does not cancel. There the relative error grows, to
// 0.2 % at -7, and stays below 1e-8 x.
fn gelu_erf_f32(x: f32) -> f32 {
    let u = x * 0.707106781;
    let t = abs(u);
    if (t > 0.927734375) {
        let tail = select(exp_f32(log_erfc(min(t, 10.0))), 0.0, t > 10.0);
        return keep_nan(x, 0.5 * x * select(2.0 - tail, tail, x < 0.0));
    }
    return keep_nan(x, 0.5 * x * (1.0 + u + u * erf_excess(u * u)));
}

// 0.5 x (1 + tanh(y)) = x * sigmoid(2 y) with y = sqrt(2 / pi) (x + 0.044715 x^3).
fn gelu_tanh_f32(x: f32) -> f32 {
    let c = clamp(x, -30.0, 30.0);
    return keep_nan(x, x * sigmoid_f32(1.59576912 * (c + 0.044715 * c * c * c)));
}

fn softplus_f32(x: f32) -> f32 { return keep_nan(x, max(x, 0.0) + log1p_f32(exp_f32(-abs(x)))); }

fn hard_swish_f32(x: f32) -> f32 { return keep_nan(x, x * clamp(x / 6.0 + 0.5, 0.0, 1.0)); }

fn sign_f32(x: f32) -> f32 {
    return select(with_sign_of(1.0, x), x, (bitcast<u32>(x) & 0x7fffffffu) == 0u || is_nan_f32(x));
}

// x - n pi/2, and n or what it leaves divided by 4. Beyond 10^4 a reduction in three steps loses digits.
fn reduce_quadrant(x: f32) -> vec2<f32> {
    if (abs(x) > 1.0e4) { return reduce_large_angle(x); }
    let n = round(x * 0.636619772);
    let r = ((x - n * 1.5703125) - n * 4.837512969970703e-4) - n * 7.549789954891888e-8;
    return vec2<f32>(r, n);
}

// The upper half of a product of 32-bit integers.
fn multiply_high(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let mixed = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let other = (a & 0xffffu) * (b >> 16u) + (mixed & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (mixed >> 16u) + (other >> 16u);
}

// As reduce_quadrant, for a finite |x| of at least 2: the product of its 24 bits with the 96 bits of 2/pi that matter
// (Payne, Hanek 1983), in fixed point with two bits in front of the point.
fn reduce_large_angle(x: f32) -> vec2<f32> {
    let bits = bitcast<u32>(x);
    let m = ((bits & 0x007fffffu) << 8u) | 0x80000000u;
    let exponent = ((bits >> 23u) & 255u) - 126u;
    let word = exponent >> 5u;
    let shift = exponent & 31u;
    // Bits of 2/pi, the first word being those in front of the point.
    var two_over_pi = array<u32, 7>(0u, 0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u, 0x36d8a566u, 0x4f10e410u);
    let i = min(word + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(6u));
    let w = vec4<u32>(two_over_pi[i.x], two_over_pi[i.y], two_over_pi[i.z], two_over_pi[i.w]);
    let t = select((w.xyz << vec3<u32>(shift)) | (w.yzw >> vec3<u32>((32u - shift) & 31u)), w.xyz, shift == 0u);
    let middle = m * t.y;
    let low = middle + multiply_high(m, t.z);
    let carry = select(0u, 1u, low < middle);
    let high = m * t.x + multiply_high(m, t.y) + carry;
    // The fraction, from -1/2 to 1/2 of a quadrant, in units of 2^-62.
    let fraction = bitcast<i32>(high << 2u) >> 2u;
    let quadrant = (high >> 30u) + select(0u, 1u, fraction < 0);
    let r = (f32(fraction) * 4294967296.0 + f32(low)) * 3.40612158e-19;
    let n = f32(quadrant & 3u);
    return select(vec2<f32>(r, n), vec2<f32>(-r, -n), x < 0.0);
}

// sin(r + quadrant * pi/2) for |r| <= pi/4.
fn sin_quadrant(r: f32, quadrant: i32) -> f32 {
    let z = r * r;
    let s = r + r * z * ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1);
    let c = 1.0 - 0.5 * z + z * z * ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2);
    let y = select(s, c, (quadrant & 1) != 0);
    return select(y, -y, (quadrant & 2) != 0);
}

fn undefined_at_inf(x: f32, value: f32) -> f32 {
    return select(value, float_from_bits(0x7fc00000u), (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u);
}

fn sin_f32(x: f32) -> f32 {
    let r = reduce_quadrant(x);
    return undefined_at_inf(x, sin_quadrant(r.x, i32(r.y)));
}

fn cos_f32(x: f32) -> f32 {
    let r = reduce_quadrant(x);
    return undefined_at_inf(x, sin_quadrant(r.x, i32(r.y) + 1));
}

fn tan_f32(x: f32) -> f32 {
    let r = reduce_quadrant(x);
    let n = i32(r.y);
    return undefined_at_inf(x, sin_quadrant(r.x, n) / sin_quadrant(r.x, n + 1));
}

// asin(a) for 0 <= a <= 0.5, of a > 0.5 a half of acos(a); NaN for other a.
fn asin_near(a: f32) -> f32 {
    let far = max(0.5 * (1.0 - a), 0.0);
    let z = select(a * a, far, a > 0.5);
    let b = select(a, sqrt(far), a > 0.5);
    let c = vec4<f32>(2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1);
    let y = b + b * z * polynomial(4.2163199048e-2, z, c);
    return select(y, float_from_bits(0x7fc00000u), !(a <= 1.0) || is_nan_f32(a));
}

fn asin_f32(x: f32) -> f32 {
    let y = asin_near(abs(x));
    return keep_nan(y, with_sign_of(select(y, 1.57079633 - 2.0 * y, abs(x) > 0.5), x));
}

fn acos_f32(x: f32) -> f32 {
    let y = asin_near(abs(x));
    let far = select(2.0 * y, 3.14159265 - 2.0 * y, x < 0.0);
    return keep_nan(y, select(1.57079633 - with_sign_of(y, x), far, abs(x) > 0.5));
}

fn atan_f32(x: f32) -> f32 {
    let a = abs(x);
    let is_large = a > 2.41421356;
    let is_middle = a > 0.414213562;
    let base = select(select(0.0, 0.785398163, is_middle), 1.57079633, is_large);
    let r = select(select(a, (a - 1.0) / (a + 1.0), is_middle), -1.0 / a, is_large);
    let z = r * r;
    let p = polynomial(0.0, z, vec4<f32>(8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1));
    return keep_nan(x, with_sign_of(base + (r + r * z * p), x));
}

fn sinh_f32(x: f32) -> f32 {
    let a = abs(x);
    let z = a * a;
    let near = a + a * z * ((2.03721912945e-4 * z + 8.33028376239e-3) * z + 1.66667160211e-1);
    let h = exp_f32(0.5 * a);
    let far = 0.5 * h * h - 0.5 / h / h;
    return keep_nan(x, with_sign_of(select(far, near, a < 1.0), x));
}

fn cosh_f32(x: f32) -> f32 {
    let h = exp_f32(0.5 * abs(x));
    return keep_nan(x, 0.5 * h * h + 0.5 / h / h);
}

fn asinh_f32(x: f32) -> f32 {
    let a = abs(x);
    let c = min(a, 1.0e4);
    let near = log1p_f32(c + c * c / (1.0 + sqrt(c * c + 1.0)));
    let y = select(near, log_f32(a) + 0.693147181, a > 1.0e4);
    return keep_nan(x, with_sign_of(y, x));
}

fn acosh_f32(x: f32) -> f32 {
    let t = clamp(x - 1.0, 0.0, 1.0e4);
    let near = log1p_f32(t + sqrt(2.0 * t + t * t));
    let y = select(near, log_f32(x) + 0.693147181, x > 1.0e4);
    return select(select(float_from_bits(0x7fc00000u), y, x >= 1.0), x, is_nan_f32(x));
}

fn atanh_f32(x: f32) -> f32 {
    let a = abs(x);
    let y = 0.5 * log1p_f32(2.0 * a / (1.0 - a));
    let inside = select(float_from_bits(0x7fc00000u), with_sign_of(y, x), a < 1.0);
    return select(select(inside, with_sign_of(float_from_bits(0x7f800000u), x), a == 1.0), x, is_nan_f32(x));
}

// x^n for small integers: products only, so that squares and cubes are exact to rounding.
fn power_integer(x: f32, n: i32) -> f32 {
    var result = 1.0;
    var square = x;
    for (var left = abs(n); left > 0; left = left >> 1u) {
        if ((left & 1) != 0) { result *= square; }
        square *= square;
    }
    return select(result, 1.0 / result, n < 0);
}

// C pow. x = m 2^e: 2^(e y) is split exactly into an integral and a small part. The relative error grows with |y ln m|.
fn pow_f32(x: f32, y: f32) -> f32 {
    let integral = round(y) == y;
    if (integral && abs(y) <= 8.0) { return power_integer(x, i32(y)); }
    if (is_nan_f32(x) || is_nan_f32(y)) { return select(select(y, x, is_nan_f32(x)), 1.0, x == 1.0); }
    let a = abs(x);
    if (a == 1.0 && (integral || x > 0.0)) { return select(1.0, x, abs(y) < 16777216.0 && (i32(y) & 1) != 0); }
    let estimate = y * log_f32(a);
    var magnitude = select(0.0, float_from_bits(0x7f800000u), (a > 1.0) == (y > 0.0));
    if (a != 0.0 && !is_inf_f32(x) && !is_inf_f32(y) && abs(estimate) <= 110.0) {
        let s = split_float(a);
        let y_high = bitcast<f32>(bitcast<u32>(y) & 0xffff0000u);
        let scale = s.y * y_high;
        let n = round(scale);
        let rest = (scale - n) + s.y * (y - y_high);
        let exponent = rest * 0.693147181 + y * log_mantissa(s.x);
        let k = round(exponent * 1.44269504);
        let r = (exponent - k * 0.693359375) + k * 2.12194440e-4;
        let total = i32(n + k);
        let first = clamp(total, -126, 127);
        magnitude = exp_f32(r) * power_of_two(first) * power_of_two(clamp(total - first, -126, 127));
    }
    let odd = integral && abs(y) < 16777216.0 && (i32(y) & 1) != 0;
    let signed_power = select(magnitude, with_sign_of(magnitude, x), odd);
    return select(signed_power, float_from_bits(0x7fc00000u), x < 0.0 && !integral && !is_inf_f32(x));
}

// x to the power of a half: its root, but infinity for -inf.
fn pow_half_f32(x: f32) -> f32 { return select(sqrt(x), float_from_bits(0x7f800000u), bitcast<u32>(x) == 0xff800000u); }

// x to the power of minus a half: infinity for -0.
fn pow_minus_half_f32(x: f32) -> f32 { return select(1.0 / pow_half_f32(x), float_from_bits(0x7f800000u), x == 0.0); }

// C fmod, exact: long division, one step a bit of the quotient.
fn fmod_f32(x: f32, y: f32) -> f32 {
    let b = abs(y);
    if (is_nan_f32(x) || is_nan_f32(y) || is_inf_f32(x) || b == 0.0) { return float_from_bits(0x7fc00000u); }
    if (is_inf_f32(y)) { return x; }
    var rest = abs(x);
    // A subnormal divisor has up to 23 bits less than its exponent says.
    let short = select(0, 23, bitcast<u32>(b) < 0x00800000u);
    let steps = i32(bitcast<u32>(rest) >> 23u) - i32(bitcast<u32>(b) >> 23u) + short;
    for (var k = min(steps, 277); k >= 0; k -= 1) {
        let first = min(k, 127);
        let second = min(k - first, 127);
        let part = b * power_of_two(first) * power_of_two(second) * power_of_two(k - first - second);
        rest -= select(0.0, part, rest >= part);
    }
    return with_sign_of(rest, x);
}

// Python's %: the sign of the divisor.
fn floor_mod_f32(x: f32, y: f32) -> f32 {
    let r = fmod_f32(x, y);
    return select(r, r + y, r != 0.0 && (r < 0.0) != (y < 0.0));
}

// Without the fraction; from 2^31 on, below -2^31, and of NaN the least integer.
fn cast_f32_to_i32(x: f32) -> i32 {
    let fits = (bitcast<u32>(x) & 0x7fffffffu) < 0x4f000000u;
    return select(i32(0x80000000u), i32(select(0.0, x, fits)), fits);
}

// Division by zero gives 0.
fn div_i32(a: i32, b: i32) -> i32 { return select(a / select(b, 1, b == 0), 0, b == 0); }

fn fmod_i32(a: i32, b: i32) -> i32 { return a - div_i32(a, b) * b - select(0, a, b == 0); }

fn floor_mod_i32(a: i32, b: i32) -> i32 {
    let r = fmod_i32(a, b);
    return select(r, r + b, r != 0 && (r < 0) != (b < 0));
}

// A shift by 32 or more, or by a negative number of bits, leaves nothing but the sign.
fn shift_left_i32(a: i32, b: i32) -> i32 { return select(a << (u32(b) & 31u), 0, u32(b) > 31u); }

fn shift_right_i32(a: i32, b: i32) -> i32 { return a >> min(u32(b), 31u); }

// A negative exponent truncates towards zero: 0 but for bases 1 and -1. Zero to it gives 0.
fn pow_i32(a: i32, b: i32) -> i32 {
    if (b < 0) { return select(0, select(a, 1, (b & 1) == 0), abs(a) == 1); }
    var result = 1;
    var square = a;
    for (var left = b; left > 0; left = left >> 1u) {
        if ((left & 1) != 0) { result *= square; }
        square *= square;
    }
    return result;
}

// The nearest f16, half to even, as f32. Steps of normal f16 are 2^13 of f32's; below 2^-14 all steps are 2^-24.
fn round_to_f16_f32(x: f32) -> f32 {
    let magnitude = bitcast<u32>(abs(x));
    if magnitude < 0x38800000u { return round(x * 16777216.0) * 5.9604644775390625e-8; }
    // 65520 and more rounds to infinity.
    let rounded = (magnitude + 0xfffu + ((magnitude >> 13u) & 1u)) & 0xffffe000u;
    return keep_nan(x, with_sign_of(bitcast<f32>(select(rounded, 0x7f800000u, magnitude >= 0x477ff000u)), x));
}
