#!/usr/bin/env bash
# Kestrel's engine beside onnxruntime and OpenVINO: makes the networks, runs all engines in turns, prints one table.
set -euo pipefail

usage="usage: bench/engine/run.sh [FILE...]
  FILE      ONNX networks with one image as input; default: the networks of networks.py, made in OUT, in float and quantised
environment
  OUT       folder for networks and figures; default: runs/engine
  RUNS      runs of each engine; default: 31
  THREADS   default: 1
  RUNNER    default: the example model_run, built as a release"
[[ ${1:-} != -* ]] || { echo "$usage" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${OUT:-$root/runs/engine}
python=$here/.venv/bin/python
target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$out"

if [[ -z ${RUNNER:-} ]]; then
    RUNNER=$target/release/examples/model_run
    (cd "$root" && cargo build --release --locked --package kestrel-nn --example model_run)
fi
[[ -x $python ]] || "$here/setup.sh"
networks=("$@")
if [[ ${#networks[@]} -eq 0 ]]; then
    "$python" "$here/networks.py" "$out"
    networks=("$out"/*.onnx)
fi
"$python" "$here/compare.py" --runner "$RUNNER" --runs "${RUNS:-31}" --threads "${THREADS:-1}" \
    --json "$out/engine-${THREADS:-1}.json" "${networks[@]}"
quantised=()
for network in "${networks[@]}"; do
    [[ $network != *int8.onnx ]] || quantised+=("$network")
done
if [[ ${#quantised[@]} -gt 0 ]]; then
    echo "each layer by itself, beside onnxruntime:"
    "$python" "$here/layers.py" --runner "$RUNNER" "${quantised[@]}"
fi
