#!/bin/sh
# Builds the runtime library for browsers; with arguments, what they say (`-p flashmem-browser --release`). Needs the standard
# library of wasm32-unknown-unknown.
set -eu
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown
if ! ls "$(rustc --print sysroot)/lib/rustlib/$target/lib/"libstd-*.rlib >/dev/null 2>&1; then
    echo "error: this Rust has no standard library for $target; get it by one of" >&2
    echo "  rustup target add $target" >&2
    echo "  apt-get install libstd-rust-dev-wasm32 lld    (with Debian's own rustc)" >&2
    exit 1
fi
# Rust's own linker may not come with the system's packages; LLVM's does.
if ! rustc --print sysroot | grep -q rustup && command -v wasm-ld >/dev/null; then
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld
fi
# wasm-bindgen wants to know which features of WebAssembly are used, which stripping everything removes.
export CARGO_PROFILE_RELEASE_STRIP=debuginfo
case " $* " in
*" -p "*) exec cargo build --lib --target "$target" "$@" ;;
*) exec cargo build -p flashmem-runtime --lib --no-default-features --features web --target "$target" "$@" ;;
esac
