#!/usr/bin/env bash
# naga 30.0.2 (wgpu 30): WGSL's smoothstep(low, high, x) is t * t * (3 - 2 * t) of t = clamp((x - low) / (high - low), 0, 1), and falls where low > high.
# Naga writes SmoothStep of GLSL.std.450 and smoothstep of MSL and GLSL, whose results their specifications leave undefined for
# edge0 >= edge1. Seen on 2026-11-29:
#   SPIR-V: instruction 49 (SmoothStep) and no other; MSL "metal::smoothstep(x, y, 0.5)"; GLSL "smoothstep(x, y, 0.5)"
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

fn main() {
    let body = "floats[2] = smoothstep(x, y, 0.5);";
    let (metal, glsl) = (msl(body), glsl(body));
    let (module, info) = module_of(body);
    let words = naga::back::spv::write_vec(&module, &info, &Default::default(), None).expect("SPIR-V");
    let (mut at, mut extended, mut quotients) = (5, Vec::new(), 0);
    while at < words.len() {
        match words[at] & 0xffff {
            12 => extended.push(words[at + 4]),
            136 => quotients += 1,
            _ => {}
        }
        at += (words[at] >> 16) as usize;
    }
    println!("SPIR-V {extended:?}, MSL {:?}, GLSL {:?}", lines(&metal, "floats[2] ="), lines(&glsl, "smoothstep"));
    assert_eq!(lines(&metal, "floats[2] ="), ["floats[2] = metal::smoothstep(x, y, 0.5);"], "the MSL changed");
    assert_eq!(lines(&glsl, "smoothstep(x, y, 0.5)").len(), 1, "the GLSL changed");
    assert_eq!((extended, quotients), (vec![49], 0), "the SPIR-V changed");
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
