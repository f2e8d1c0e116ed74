// weights_block.wgsl -- weights as codes of BITS bits in blocks along k, a scale for each block of a column.
//
// A texel holds four columns at DEPTH steps of k, the first in the low bits of each word. The head of a panel has, for every
// block, the scales of its 32 columns and what OFFSET says, column by column.
// Constants: BITS, 4 or 8; BLOCK_SHIFT, log2 of a block's length, 31 for all of k; SCALE_BITS, 16 or 32; OFFSET, a *_OFFSET below;
//            ROUNDED, 1 where elements are rounded to f16.

const BITS: u32 = 4u;
const BLOCK_SHIFT: u32 = 5u;
const SCALE_BITS: u32 = 16u;
const OFFSET: u32 = 0u;
const ROUNDED: u32 = 0u;
// value = (code - half of the codes) * scale; (code - zero point, a byte) * scale; code * scale + minimum, an f16 or an f32.
const MIDDLE_OFFSET: u32 = 0u;
const ZERO_POINT_OFFSET: u32 = 1u;
const MINIMUM_OFFSET: u32 = 2u;
const WIDE_MINIMUM_OFFSET: u32 = 4u;
// Steps of k in a texel.
const DEPTH: u32 = 32u / BITS;
// Texels of a block's scales, and of all that it has in the head.
const SCALE_TEXELS: u32 = SCALE_BITS / 4u;
const BLOCK_TEXELS: u32 = SCALE_TEXELS + OFFSET * 2u;

// The codes of the four columns of a texel at one of its steps, about zero where that is the same everywhere.
fn decoded(raw: vec4<u32>, step: u32) -> vec4<f32> {
    let codes = vec4<f32>((raw >> vec4<u32>(step * BITS)) & vec4<u32>((1u << BITS) - 1u));
    if (OFFSET == MIDDLE_OFFSET) { return codes - f32(1u << (BITS - 1u)); }
    return codes;
}

// What belongs to the four columns of a texel beside their codes.
struct Scale {
    factor: vec4<f32>,
    offset: vec4<f32>,
}

// Texels in front of a panel of so many k.
fn head_texels(k: u32) -> u32 { return ((((k - 1u) >> BLOCK_SHIFT) + 1u) * BLOCK_TEXELS + 7u) & ~7u; }

// Whether another scale holds from this k on.
fn new_block(k: u32) -> bool { return (k & ((1u << BLOCK_SHIFT) - 1u)) == 0u; }

// Four halves of a run of them from texel `texel` on.
fn halves_at(texel: u32, quad: u32) -> vec4<f32> {
    let raw = weight_texel(texel + quad / 2u);
    let pairs = select(raw.xy, raw.zw, quad % 2u == 1u);
    return vec4<f32>(unpack2x16float(pairs.x), unpack2x16float(pairs.y));
}

// The scale of quad `quad` of a panel, whose head starts at texel `head`, from this k on.
fn scale_at(head: u32, k: u32, quad: u32) -> Scale {
    let block = head + (k >> BLOCK_SHIFT) * BLOCK_TEXELS;
    var scale: Scale;
    if (SCALE_BITS == 32u) {
        scale.factor = bitcast<vec4<f32>>(weight_texel(block + quad));
    } else {
        scale.factor = halves_at(block, quad);
    }
    if (OFFSET == ZERO_POINT_OFFSET) {
        let raw = weight_texel(block + SCALE_TEXELS + quad / 4u);
        let bytes = select(select(raw.x, raw.y, quad % 4u == 1u), select(raw.z, raw.w, quad % 4u == 3u), quad % 4u > 1u);
        scale.offset = vec4<f32>((vec4<u32>(bytes) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
    }
    if (OFFSET == MINIMUM_OFFSET) { scale.offset = halves_at(block + SCALE_TEXELS, quad); }
    if (OFFSET == WIDE_MINIMUM_OFFSET) { scale.offset = bitcast<vec4<f32>>(weight_texel(block + SCALE_TEXELS + quad)); }
    return scale;
}

fn scaled(codes: vec4<f32>, scale: Scale) -> vec4<f32> {
    var value = codes * scale.factor;
    if (OFFSET == ZERO_POINT_OFFSET) { value = (codes - scale.offset) * scale.factor; }
    if (OFFSET == MINIMUM_OFFSET || OFFSET == WIDE_MINIMUM_OFFSET) { value += scale.offset; }
    if (ROUNDED == 1u) { return halved(value); }
    return value;
}

// The nearest halves, half to even, of numbers that are finite.
fn halved(value: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(value);
    let magnitude = bits & vec4<u32>(0x7fffffffu);
    let rounded = (magnitude + 0xfffu + ((magnitude >> vec4<u32>(13u)) & vec4<u32>(1u))) & vec4<u32>(0xffffe000u);
    // 65520 and more rounds to infinity; below 2^-14 all steps are 2^-24.
    let infinite = select(rounded, vec4<u32>(0x7f800000u), magnitude >= vec4<u32>(0x477ff000u));
    let normal = bitcast<vec4<f32>>((bits & vec4<u32>(0x80000000u)) | infinite);
    return select(normal, round(value * 16777216.0) * 5.9604644775390625e-8, magnitude < vec4<u32>(0x38800000u));
}
