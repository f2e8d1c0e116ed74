#!/usr/bin/env bash
# naga 30.0.2 (wgpu 30), GLSL: WGSL's a / 0 is a and a % 0 is 0 for integers, and i32(x) of a float beyond the type is the nearest number of the type. Naga
# guards them in MSL, HLSL and SPIR-V, and writes the plain operators and int(x) in GLSL, which leaves all of them undefined. Seen on
# 2026-11-29:
#   GLSL "(a / b)", "(a % b)", "int(x)"; HLSL naga_div, naga_mod and naga_f2i32, with a select and a clamp
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
naga = { version = "=30.0.2", features = ["wgsl-in", "hlsl-out", "glsl-out"] }
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

fn glsl(body: &str) -> String {
    use naga::back::glsl::{Options, PipelineOptions, Version, Writer};
    let (module, info) = module_of(body);
    let options = Options { version: Version::Desktop(450), ..Default::default() };
    let pipeline = PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".to_owned(), multiview: None };
    let mut text = String::new();
    Writer::new(&mut text, &module, &info, &options, &pipeline, Default::default()).and_then(|mut w| w.write()).expect("GLSL");
    text
}

/// The lines that hold `what`.
fn lines<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    text.lines().map(str::trim).filter(|line| line.contains(what)).collect()
}

fn main() {
    let body = "integers[2] = a / b; integers[3] = a % b; integers[4] = i32(x);";
    let (guarded, plain) = (hlsl(body), glsl(body));
    println!("HLSL {:?}\nGLSL {:?}", lines(&guarded, "integers.Store"), lines(&plain, "_cs["));
    for function in ("naga_div(a, b)|naga_mod(a, b)|naga_f2i32(x)").split('|') {
        assert_eq!(lines(&guarded, function).len(), 1, "HLSL is guarded");
    }
    for expression in ("= (a / b);|= (a % b);|= int(x);").split('|') {
        assert_eq!(lines(&plain, expression).len(), 1, "the behaviour changed: {expression}");
    }
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
