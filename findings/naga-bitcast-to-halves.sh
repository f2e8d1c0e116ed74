#!/usr/bin/env bash
# naga 30.0.1 (wgpu 30): WGSL's bitcast<vec2<f16>>(u32), which the specification has for 32-bit scalars, is refused: naga keeps the width of
# what is cast, so the result is a vector of f32 to it. vec2<f16>(unpack2x16float(word)) is accepted. Seen on 2026-11-28:
#   bitcast: refused; unpack and convert: accepted
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
naga = { version = "=30.0.1", features = ["wgsl-in"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
use naga::valid::{Capabilities, ValidationFlags, Validator};

fn accepted(expression: &str) -> bool {
    let source = format!(
        "enable f16;
         @group(0) @binding(0) var<storage, read_write> words: array<u32>;
         @compute @workgroup_size(1)
         fn main() {{
             let halves: vec2<f16> = {expression};
             words[0] = u32(halves.x + halves.y);
         }}"
    );
    let module = naga::front::wgsl::parse_str(&source);
    module.is_ok_and(|m| Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&m).is_ok())
}

fn main() {
    let name = |accepted| if accepted { "accepted" } else { "refused" };
    let (cast, converted) = (accepted("bitcast<vec2<f16>>(words[0])"), accepted("vec2<f16>(unpack2x16float(words[0]))"));
    println!("bitcast: {}; unpack and convert: {}", name(cast), name(converted));
    assert!(!cast && converted, "the behaviour changed");
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
