#!/usr/bin/env bash
# half 2.7.1: f16::from_f64 and bf16::from_f64 do not give the nearest number. What lies a little above the middle of two becomes the even one, since
# the lowest bits are dropped or rounded to f32 first; 65519.999999, which is nearest to 65504, becomes infinite as f16. The remainders here are
# exact in f64 and say which neighbour is nearer. Seen on 2026-11-29 on x86-64:
#   f16 of 1 + 2^-11 + 2^-30: 1 instead of 1.0009765625; 65519.999999: inf; bf16 of 1 + 2^-8 + 2^-30: 1 instead of 1.0078125
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cargo -q init --vcs none --name finding "$folder"
cat >> "$folder/Cargo.toml" <<'TOML'
half = "=2.7.1"
TOML
cat > "$folder/src/main.rs" <<'RUST'
use half::{bf16, f16};

fn main() {
    let power = |n: i32| 2f64.powi(n);
    // A number, what is made of it, and its other neighbour, which is nearer.
    let seen = [
        ("f16", 1.0 + power(-11) + power(-30), f16::from_f64(1.0 + power(-11) + power(-30)).to_f64(), 1.0 + power(-10)),
        ("bf16", 1.0 + power(-8) + power(-30), bf16::from_f64(1.0 + power(-8) + power(-30)).to_f64(), 1.0 + power(-7)),
    ];
    for (name, x, found, nearer) in seen {
        println!("{name} of {x}: {found}, off by {:e}; {nearer} is off by {:e}", x - found, nearer - x);
        assert!((nearer - x).abs() < (x - found).abs(), "the behaviour changed");
    }
    let (large, tie) = (65519.999999, 1.0 + power(-11));
    println!("f16 of {large}: {}, f16 of {tie}: {}", f16::from_f64(large), f16::from_f64(tie));
    assert!(f16::from_f64(large).is_infinite(), "the behaviour at the end of the range changed");
    assert_eq!(f16::from_f64(tie).to_f64(), 1.0, "exact middles go to even");
    assert_eq!(f16::from_f64(1.0 + power(-11) + power(-20)).to_f64(), 1.0 + power(-10), "larger remainders are right");
}
RUST
cargo -q run --manifest-path "$folder/Cargo.toml"
