#!/usr/bin/env bash
# naga 30.0.1 (wgpu 30): a WGSL module with a cooperative matrix becomes SPIR-V in Vulkan's memory model, one without in GLSL's. In
# Vulkan's, only accesses marked NonPrivatePointer are ordered by barriers between invocations; loads and stores of workgroup memory,
# and those of matrices, have no such mark, so that a driver may move them across workgroupBarrier(). Seen on 2026-11-28:
#   without: GLSL450; with: Vulkan, 0 of its 8 accesses to memory are marked
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
naga = { version = "=30.0.1", features = ["wgsl-in", "spv-out"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
use naga::back::spv;
use naga::valid::{Capabilities, ValidationFlags, Validator};

const PLAIN: &str = "
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
var<workgroup> tile: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    tile[i] = out[i];
    workgroupBarrier();
    out[i] = tile[63u - i];
}";
const MATRIX: &str = "
enable wgpu_cooperative_matrix;
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
var<workgroup> tile: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    tile[i] = out[i];
    workgroupBarrier();
    var c: coop_mat8x8<f32, C> = coopLoad<coop_mat8x8<f32, C>>(&tile[0], 8u);
    coopStore(c, &out[0], 8u);
}";

/// The memory model, and accesses to memory with and without the mark.
fn written(source: &str) -> (u32, usize, usize) {
    let module = naga::front::wgsl::parse_str(source).expect("valid WGSL");
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).expect("a valid module");
    let words = spv::write_vec(&module, &info, &spv::Options::default(), None).expect("SPIR-V");
    let (mut at, mut model, mut marked, mut unmarked) = (5, 0, 0, 0);
    while at < words.len() {
        let (count, opcode) = ((words[at] >> 16) as usize, words[at] & 0xffff);
        // The position of the memory operands: of OpLoad, OpStore, and the loads and stores of cooperative matrices.
        let operands = match opcode {
            14 => { model = words[at + 2]; None }
            61 => Some(4),
            62 => Some(3),
            4457 => Some(6),
            4458 => Some(5),
            _ => None,
        };
        if let Some(operands) = operands {
            let is_marked = count > operands && words[at + operands] & 0x20 != 0;
            *(if is_marked { &mut marked } else { &mut unmarked }) += 1;
        }
        at += count;
    }
    (model, marked, unmarked)
}

fn main() {
    let name = |model| match model { 1 => "GLSL450", 3 => "Vulkan", _ => "another" };
    let (plain, matrix) = (written(PLAIN), written(MATRIX));
    println!("without: {}; with: {}, {} of its {} accesses to memory are marked", name(plain.0), name(matrix.0), matrix.1, matrix.1 + matrix.2);
    assert_eq!((plain.0, matrix.0, matrix.1), (1, 3, 0), "the behaviour changed");
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
