#!/usr/bin/env bash
# Runs the ONNX backend node tests and writes tests/conformance/table.txt again. Without an argument it uses the committed
# archive; a folder (`node`, as onnx's `backend-test-tools generate-data` writes it) may be named instead.
set -euo pipefail
cd "$(dirname "$0")/../.."
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}"
here=tests/conformance
exec cargo run --release --quiet -p flashmem-tests --bin conformance -- "${1:-$here/node-1.23.2.tar.gz}" \
    --write "$here/table.txt" "${@:2}"
