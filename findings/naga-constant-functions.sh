#!/usr/bin/env bash
# naga 30.0.2 (wgpu 30): WGSL's functions marked @const may stand in constant expressions. Naga refuses many of them there, as "Not implemented as
# constant expression", and takes the same calls where an operand is a variable. Seen on 2026-11-29:
#   refused: bitcast, mix, smoothstep, ldexp, frexp, modf, quantizeToF16, extractBits, insertBits, pack and unpack functions, transpose; taken: round, dot
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
naga = { version = "=30.0.2", features = ["wgsl-in"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
const CALLS: [&str; 12] = [
    "bitcast<f32>(1u)",
    "mix(1.0, 3.0, 0.25)",
    "smoothstep(0.0, 1.0, 0.5)",
    "ldexp(1.0, 3)",
    "frexp(6.0).fract",
    "modf(1.5).fract",
    "quantizeToF16(1.0)",
    "f32(extractBits(240u, 4u, 4u))",
    "f32(insertBits(0u, 15u, 4u, 4u))",
    "f32(pack2x16float(vec2(1.0)))",
    "unpack4x8snorm(128u).x",
    "transpose(mat2x2f(1, 2, 3, 4))[0].y",
];

fn main() {
    let refusal = |expression: &str| naga::front::wgsl::parse_str(&format!("const seen: f32 = {expression};")).err().map(|e| e.to_string());
    for taken in ("round(2.5)|f32(dot(vec2(1, 2), vec2(3, 4)))|clamp(2.0, 0.0, 1.0)").split('|') {
        assert_eq!(refusal(taken), None, "{taken} is taken");
    }
    for call in CALLS {
        let found = refusal(call).unwrap_or_else(|| panic!("the behaviour of {call} changed"));
        println!("{call}: {found}");
        assert!(found.contains("Not implemented as constant expression"), "another error");
        let at_run_time = format!("@compute @workgroup_size(1) fn main() {{ let seen: f32 = {call}; }}");
        let variable = at_run_time.replace("1.0, 3", "a, 3").replace("(1.0", "(a").replace("(1u", "(u32(a)").replace("(6.0", "(a");
        let variable = variable.replace("1.5", "a").replace("0.0, 1.0", "a, 1.0").replace("240u", "u32(a)").replace("0u, 15u", "u32(a), 15u");
        let variable = variable.replace("128u", "u32(a)").replace("2f(1,", "2f(a,").replace("{ let", "{ var a = 0.5; let");
        naga::front::wgsl::parse_str(&variable).unwrap_or_else(|e| panic!("{variable}: {e}"));
    }
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
