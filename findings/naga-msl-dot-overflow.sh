#!/usr/bin/env bash
# naga 30.0.2 (wgpu 30), MSL: integer arithmetic of WGSL wraps. Naga writes a * b and a + b of i32 as products and sums of uint, since an overflow of
# int is undefined in Metal as in C++; dot of two vec3<i32> it writes as products and sums of int. Seen on 2026-11-29:
#   a * b: "as_type<int>(as_type<uint>(a) * as_type<uint>(b))"; dot: "return ( + a.x * b.x + a.y * b.y + a.z * b.z)" of metal::int3
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
naga = { version = "=30.0.2", features = ["wgsl-in", "msl-out"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

const HEAD: &str = "
@group(0) @binding(0) var<storage, read_write> integers: array<i32>;
@group(0) @binding(1) var<storage, read_write> floats: array<f32>;
@compute @workgroup_size(1)
fn main() { let a = integers[0]; let b = integers[1]; let x = floats[0]; let y = floats[1];";

fn module_of(body: &str) -> (naga::Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(&format!("{HEAD} {body} }}")).expect("valid WGSL");
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).expect("a valid module");
    (module, info)
}

fn msl(body: &str) -> String {
    let (module, info) = module_of(body);
    let options = naga::back::msl::Options { fake_missing_bindings: true, ..Default::default() };
    naga::back::msl::write_string(&module, &info, &options, &Default::default()).expect("MSL").0
}

/// The lines that hold `what`.
fn lines<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    text.lines().map(str::trim).filter(|line| line.contains(what)).collect()
}

fn main() {
    let (product, dot) = (msl("integers[2] = a * b;"), msl("integers[2] = dot(vec3(a, b, a), vec3(b, b, a));"));
    println!("{:?}\n{:?}\n{:?}", lines(&product, "integers[2] ="), lines(&dot, "int naga_dot"), lines(&dot, "a.x * b.x"));
    assert_eq!(lines(&product, "as_type<int>(as_type<uint>(a) * as_type<uint>(b))").len(), 1, "a product wraps");
    assert_eq!(lines(&dot, "int naga_dot_int3(metal::int3 a, metal::int3 b)").len(), 1, "of vectors of int");
    assert_eq!(lines(&dot, "return ( + a.x * b.x + a.y * b.y + a.z * b.z);").len(), 1, "the behaviour changed");
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
