#!/usr/bin/env bash
# naga 30.0.2 (wgpu 30), HLSL: WGSL's sign of an f32 is an f32; HLSL's sign returns int, also of a float, by Microsoft's reference of the intrinsic.
# Naga stores it in a buffer as asuint(sign(x)), which keeps the bits of the integer 1: read as f32 that
# is 1.4e-45, and -1 is NaN. Of a variable in between, HLSL converts. SPIR-V's FSign is a float. Seen on 2026-11-29:
#   floats[2] = sign(x): "floats.Store(8, asuint(sign(x)))"; floats[2] = x and abs(x) store floats
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
naga = { version = "=30.0.2", features = ["wgsl-in", "hlsl-out"] }
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

fn hlsl(body: &str) -> String {
    let (module, info) = module_of(body);
    let options = naga::back::hlsl::Options { fake_missing_bindings: true, ..Default::default() };
    let pipeline = Default::default();
    let mut text = String::new();
    naga::back::hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None).expect("HLSL");
    text
}

/// The lines that hold `what`.
fn lines<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    text.lines().map(str::trim).filter(|line| line.contains(what)).collect()
}

fn main() {
    for expression in ("sign(x)|abs(x)|sign(a)").split('|') {
        let target = if expression.ends_with("(a)") { "integers" } else { "floats" };
        let text = hlsl(&format!("{target}[2] = {expression};"));
        println!("{target}[2] = {expression}: {:?}", lines(&text, &format!("{target}.Store(8")));
    }
    let text = hlsl("floats[2] = sign(x);");
    println!("read as f32: 1 is {:e}, -1 is {}", f32::from_bits(1), f32::from_bits((-1i32) as u32));
    assert_eq!(lines(&text, "floats.Store(8"), ["floats.Store(8, asuint(sign(x)));"], "the behaviour changed");
    assert!(lines(&text, "float x = asfloat(floats.Load(0))").len() == 1, "x is a float");
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
