#!/usr/bin/env bash
# naga 30.0.2 (wgpu 30), MSL: WGSL's clamp of integers is min(max(e, low), high), also where low > high at run time. Naga writes metal::clamp,
# whose "results are undefined if minval > maxval" in Apple's specification. For SPIR-V and GLSL, which leave clamp undefined in the
# same way, it writes the minimum of a maximum. Seen on 2026-11-29, clamp(a, b, 3):
#   MSL "metal::clamp(a, b, 3)", GLSL "min(max(a, b), 3)", SPIR-V SMax, SMin and no SClamp
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
naga = { version = "=30.0.2", features = ["wgsl-in", "msl-out", "glsl-out", "spv-out"] }
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

/// The instructions of GLSL.std.450 that the SPIR-V holds.
fn extended(body: &str) -> Vec<u32> {
    let (module, info) = module_of(body);
    let words = naga::back::spv::write_vec(&module, &info, &Default::default(), None).expect("SPIR-V");
    let (mut at, mut found) = (5, Vec::new());
    while at < words.len() {
        if words[at] & 0xffff == 12 {
            found.push(words[at + 4]);
        }
        at += (words[at] >> 16) as usize;
    }
    found
}

fn main() {
    let body = "integers[2] = clamp(a, b, 3);";
    let (metal, glsl, spirv) = (msl(body), glsl(body), extended(body));
    println!("MSL {:?}\nGLSL {:?}\nSPIR-V {spirv:?}", lines(&metal, "integers[2] ="), lines(&glsl, "[2] ="));
    // SMin, SMax and SClamp are 39, 42 and 45.
    assert!(spirv.contains(&39) && spirv.contains(&42) && !spirv.contains(&45), "SPIR-V is without SClamp");
    assert_eq!(lines(&glsl, "min(max(a, b), 3)").len(), 1, "GLSL is without clamp");
    assert_eq!(lines(&metal, "integers[2] ="), ["integers[2] = metal::clamp(a, b, 3);"], "the behaviour changed");
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
