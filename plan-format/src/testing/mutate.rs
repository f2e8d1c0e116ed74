//! A seeded mutator of bytes: what a fuzzer does, without coverage, and the same on every machine.
//!
//! It flips, sets, inserts, removes, repeats and moves bytes, and writes integers that are edges of something. It
//! deliberately knows no format.

use crate::testing::random::SplitMix64;

/// Most edits of one mutation.
const MAX_EDITS: usize = 4;
/// Most bytes that one edit inserts, removes or repeats.
const MAX_BYTES: usize = 64;
/// Integers at which arithmetic and limits have their edges.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    7,
    255,
    256,
    4096,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    1_000_000_000_000_000_000,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX - 1,
    u64::MAX,
];

/// Changes `bytes` in one to four places; `other` is what pieces may be taken from.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut SplitMix64) {
    for _ in 0..=random.below(MAX_EDITS) {
        edit(bytes, other, random);
    }
}

fn edit(bytes: &mut Vec<u8>, other: &[u8], random: &mut SplitMix64) {
    if bytes.is_empty() {
        bytes.push(random.next_u64() as u8);
        return;
    }
    let at = random.below(bytes.len());
    let length = 1 + random.below(MAX_BYTES.min(bytes.len() - at));
    match random.below(9) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next_u64() as u8,
        2 => bytes[at] = bytes[at].wrapping_add(if random.chance(50) { 1 } else { 255 }),
        3 | 4 => write_edge(&mut bytes[at..], random),
        5 => {
            bytes.drain(at..at + length);
        }
        6 => {
            let piece = bytes[at..at + length].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, piece);
        }
        7 => {
            let (from, end) = (random.below(other.len() + 1), random.below(MAX_BYTES));
            let piece = other[from..(from + end).min(other.len())].to_vec();
            let replaced = if random.chance(50) { at..at + length } else { at..at };
            bytes.splice(replaced, piece);
        }
        _ => bytes.truncate(if random.chance(10) { at } else { bytes.len() }),
    }
}

/// Writes an edge of 1, 2, 4 or 8 bytes at the start of `bytes`, as far as it fits.
fn write_edge(bytes: &mut [u8], random: &mut SplitMix64) {
    let edge = EDGES[random.below(EDGES.len())].to_le_bytes();
    let width = (1 << random.below(4)).min(bytes.len());
    bytes[..width].copy_from_slice(&edge[..width]);
}

/// Runs `body` on every seed, and on `count` mutations of seeds; the same ones for the same `seed`.
pub fn each_mutation(seeds: &[Vec<u8>], seed: u64, count: usize, body: &mut dyn FnMut(&[u8])) {
    seeds.iter().for_each(|seed| body(seed));
    let mut random = SplitMix64(seed);
    for _ in 0..count {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        mutate(&mut bytes, &seeds[random.below(seeds.len())], &mut random);
        body(&bytes);
    }
}
