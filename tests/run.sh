#!/usr/bin/env bash
# Every test: formatting, lints, unit and property tests, end-to-end tests on whatever Vulkan device there is.
set -euo pipefail
cd "$(dirname "$0")/.."
# Without it, the software Vulkan driver complains at every start.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}"
tests/setup.sh
cargo fmt --all --check
cargo clippy --release --workspace --all-targets --quiet -- -D warnings
cargo test --release --workspace "$@"
