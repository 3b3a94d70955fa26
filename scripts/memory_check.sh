#!/usr/bin/env bash
# The engine's kernels, packing and arena under valgrind: reads and writes beyond what they were given, which Rust does not
# check inside `unsafe` blocks. Needs valgrind; where it is missing this says so and fails.
set -euo pipefail
command -v valgrind >/dev/null || { echo "memory_check.sh: expected valgrind, found none: apt install valgrind" >&2; exit 1; }
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
for kind in --lib --test=network; do
    binary=$(cargo test --locked --package kestrel-nn "$kind" --no-run --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    [[ -x $binary ]] || { echo "memory_check.sh: kestrel-nn $kind does not build" >&2; exit 1; }
    valgrind --quiet --error-exitcode=9 "$binary" --test-threads 1
done
