#!/usr/bin/env bash
# The demo: compiles a trained digit classifier under a budget below the bytes of its weights, runs it on held-out images
# and draws them with their predictions. Arguments go to the `digits` program (see --help).
set -euo pipefail
cd "$(dirname "$0")/.."
# Without it, the software Vulkan driver complains at every start.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}"
tests/setup.sh
cargo build --release --quiet --bin flashmem-compile --bin flashmem-run --bin digits
bin="${CARGO_TARGET_DIR:-target}/release"
out="${CARGO_TARGET_DIR:-target}/demo"
mkdir -p "$out"
"$bin/flashmem-compile" tests/demo/digits.onnx -o "$out/digits.fmplan" --budget 600000 --golden
"$bin/flashmem-run" "$out/digits.fmplan" --self-test
"$bin/digits" "$out/digits.fmplan" tests/demo/digits.npz "$@"
