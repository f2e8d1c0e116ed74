#!/usr/bin/env bash
# Runs the demo and two small networks in a headless Chromium, on WebGPU, from a server of this machine, and compares their
# outputs with the native run's and the reference's. It installs nothing, and says what is missing.
#   CHROMIUM=PROGRAM       another browser of the family
#   WASM_BINDGEN=PROGRAM   another wasm-bindgen
#   FLASHMEM_WASM=FILE     a library that was built elsewhere (tests/wasm.sh -p flashmem-browser --release)
# Arguments go to `browser-test` (see --help).
set -euo pipefail
cd "$(dirname "$0")/.."
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}"
target="${CARGO_TARGET_DIR:-target}"
out="$target/browser"

missing=0
lacks() {
    echo "error: $1" >&2
    missing=1
}
chromium="${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}"
[ -n "$chromium" ] || lacks "there is no Chromium; as root: apt-get install chromium, or set CHROMIUM"
version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p}' Cargo.lock)
bindgen="${WASM_BINDGEN:-wasm-bindgen}"
found=$("$bindgen" --version 2>/dev/null || true)
[ "$found" = "wasm-bindgen $version" ] ||
    lacks "wasm-bindgen $version is needed (found: ${found:-none}): cargo install wasm-bindgen-cli --version $version"
if [ -n "${FLASHMEM_WASM:-}" ]; then
    [ -f "$FLASHMEM_WASM" ] || lacks "there is no $FLASHMEM_WASM"
else
    tests/wasm.sh -p flashmem-browser --release || lacks "the library cannot be built here; see FLASHMEM_WASM in $0"
fi
[ "$missing" -eq 0 ] || exit 1
tests/setup.sh

wasm="${FLASHMEM_WASM:-$target/wasm32-unknown-unknown/release/flashmem_browser.wasm}"
mkdir -p "$out"
"$bindgen" --target web --no-typescript --remove-name-section --remove-producers-section --out-dir "$out" --out-name flashmem_browser "$wasm"

cargo build --release --quiet --workspace --bins
bin="$target/release"
compile() { "$bin/flashmem-compile" "$1" -o "$out/$2.fmplan" --golden --device browser "${@:3}"; }
compile tests/demo/digits.onnx digits --budget 600000
compile tests/models/tiny/vit.onnx vit
compile tests/models/tiny/gptneo-s.onnx gptneo-s
"$bin/browser-test" --site "$out" --chromium "$chromium" --digits "$out/digits.fmplan" tests/demo/digits.npz \
    --case "$out/vit.fmplan" tests/models/tiny/vit.npz --case "$out/gptneo-s.fmplan" tests/models/tiny/gptneo-s.npz "$@"
