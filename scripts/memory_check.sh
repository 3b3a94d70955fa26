#!/usr/bin/env bash
# The engine's kernels, packing and arena under AddressSanitizer: reads and writes beyond what they were given, which Rust
# does not check inside `unsafe` blocks. Runs every kernel that this processor has. The sanitizer comes with the compiler,
# behind a switch that is meant for nightly ones.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=address -Cdebug-assertions=yes"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/sanitizer
host=$(rustc -vV | sed -n 's/^host: //p')
cargo test --locked --target "$host" --package kestrel-nn --lib --test network
