#!/usr/bin/env bash
# naga 30.0.1 (wgpu 30), HLSL: WGSL's unpack4x8snorm is max(v / 127, -1) of each signed byte; the HLSL has the quotient alone, so that the byte 0x80
# becomes -1.0079 on DirectX 12, outside of what the function may return. The pattern 0x8000 of unpack2x16snorm likewise. SPIR-V's
# UnpackSnorm4x8, which naga writes for Vulkan, clamps by its definition. Seen on 2026-11-29:
#   (float4(int4(word << 24, word << 16, word << 8, word) >> 24) / 127.0), no max and no clamp; -128 / 127 = -1.0078740
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
naga = { version = "=30.0.1", features = ["wgsl-in", "hlsl-out", "spv-out"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
use naga::back::hlsl;
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// The line of the HLSL that holds the translation of `expression`.
fn translated(expression: &str) -> String {
    let source = format!(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
         @group(0) @binding(1) var<storage, read_write> results: array<f32>;
         @compute @workgroup_size(1)
         fn main() {{ let word = words[0]; results[0] = {expression}.x; }}"
    );
    let module = naga::front::wgsl::parse_str(&source).expect("valid WGSL");
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).expect("a valid module");
    let options = hlsl::Options { fake_missing_bindings: true, ..Default::default() };
    let pipeline = hlsl::PipelineOptions::default();
    let mut text = String::new();
    hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None).expect("HLSL");
    text.lines().find(|line| line.contains("results.Store")).expect("the result is stored").trim().to_owned()
}

fn main() {
    let bytes = translated("unpack4x8snorm(word)");
    let halves = translated("unpack2x16snorm(word)");
    let packed = translated("vec2(bitcast<f32>(pack4x8snorm(vec4(bitcast<f32>(word)))))");
    println!("{bytes}\n{halves}\n{packed}\n-128 / 127 = {}", -128.0 / 127.0);
    let limited = |line: &str| line.contains("max(") || line.contains("clamp(");
    assert!(limited(&packed), "the way back is limited to -1");
    assert!(bytes.contains(">> 24) / 127.0") && !limited(&bytes), "the behaviour changed");
    assert!(halves.contains("/ 32767.0") && !limited(&halves), "the behaviour of halves changed");
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
