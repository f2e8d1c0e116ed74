#!/usr/bin/env bash
# naga 30.0.1 (wgpu 30), SPIR-V: WGSL shifts by an amount that is known at run time "modulo the bit width", so that x << 33u is x << 1u. naga writes
# OpShiftLeftLogical with the amount as it is; SPIR-V leaves the result undefined from 32 on. Division, which SPIR-V leaves undefined for a divisor
# of 0 and WGSL defines, gets a guard. Seen on 2026-11-29, instructions beside loads and stores:
#   a << b: OpShiftLeftLogical alone; a << (b & 31u): OpBitwiseAnd, OpShiftLeftLogical; a / b: a function with OpSelect
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
naga = { version = "=30.0.1", features = ["wgsl-in", "spv-out"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
use naga::back::spv;
use naga::valid::{Capabilities, ValidationFlags, Validator};

const SHIFT_LEFT: u32 = 196;
const AND: u32 = 199;
const MODULO: [u32; 2] = [137, 139];
const SELECT: u32 = 169;

/// The opcodes of the SPIR-V for `expression`.
fn opcodes(expression: &str) -> Vec<u32> {
    let source = format!(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32, 4>;
         @compute @workgroup_size(1)
         fn main() {{ let a = words[0]; let b = words[1]; words[2] = {expression}; }}"
    );
    let module = naga::front::wgsl::parse_str(&source).expect("valid WGSL");
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).expect("a valid module");
    let words = spv::write_vec(&module, &info, &spv::Options::default(), None).expect("SPIR-V");
    let (mut at, mut found) = (5, Vec::new());
    while at < words.len() {
        found.push(words[at] & 0xffff);
        at += (words[at] >> 16) as usize;
    }
    found
}

fn main() {
    let has = |found: &[u32], codes: &[u32]| found.iter().any(|code| codes.contains(code));
    let plain = opcodes("a << b");
    let masked = opcodes("a << (b & 31u)");
    let quotient = opcodes("a / b");
    let guards = [AND, MODULO[0], MODULO[1], SELECT];
    println!("a << b: shift {}, guard {}", has(&plain, &[SHIFT_LEFT]), has(&plain, &guards));
    println!("a << (b & 31u): guard {}; a / b: guard {}", has(&masked, &guards), has(&quotient, &guards));
    assert!(has(&masked, &[AND]) && has(&quotient, &[SELECT]), "guards are found where they are");
    assert!(has(&plain, &[SHIFT_LEFT]) && !has(&plain, &guards), "the behaviour changed");
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
