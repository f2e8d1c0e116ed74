#!/usr/bin/env bash
# Runs the ONNX backend node tests and writes tests/conformance/table.txt again. Without an argument it uses the committed
# archive; a folder (`onnx/backend/test/data/node` of an installed package) may be named instead.
set -euo pipefail
cd "$(dirname "$0")/../.."
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}"
here=tests/conformance
exec cargo run --release --quiet -p flashmem-tests --bin conformance -- "${1:-$here/node-1.19.1.tar.gz}" \
    --write "$here/table.txt" "${@:2}"
