#!/usr/bin/env bash
# Runs Kestrel and OpenCV's trackers over the sequences of a benchmark, one after the other, and prints one table.
set -euo pipefail

usage="usage: bench/peers/run_trackers.sh BENCHMARK
  BENCHMARK  folder of sequences: NAME/img and NAME/groundtruth_rect.txt, or NAME/NAME.txt
environment
  KESTREL    the binary; default: target/release/kestrel, built where it is missing
  NANOTRACK_MODELS  folder with NanoTrack's backbone and head (ONNX); without it that tracker is left out
  OUT        folder for all that comes out; default: runs/trackers/NAME; an earlier one is kept as NAME.1
  LIMIT_S    seconds after which a tracker is given up; default: 3600"
[[ $# -eq 1 && $1 != -* ]] || { echo "$usage" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[[ -d $1 ]] || { echo "run_trackers.sh: expected a folder of sequences, found $1" >&2; exit 1; }
benchmark=$(cd "$1" && pwd)
out=${OUT:-$root/runs/trackers/$(basename "$benchmark")}
venv=$here/.venv-trackers
export KESTREL=${KESTREL:-${CARGO_TARGET_DIR:-$root/target}/release/kestrel}
[[ -x $KESTREL ]] || (cd "$root" && cargo build --release --locked --no-default-features --features flight)
if [[ ! -x $venv/bin/python ]]; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$here/requirements-trackers.txt"
fi

# As `kestrel run` does: what is there is kept under another name.
if [[ -e $out ]]; then
    earlier=1
    while [[ -e $out.$earlier ]]; do earlier=$((earlier + 1)); done
    mv "$out" "$out.$earlier"
fi
mkdir -p "$out"

trackers=(Kestrel CSRT KCF MOSSE MedianFlow)
[[ -z ${NANOTRACK_MODELS:-} ]] || trackers+=(NanoTrack)
measured=()
for tracker in "${trackers[@]}"; do
    echo "run_trackers.sh: $tracker" >&2
    if timeout "${LIMIT_S:-3600}" "$venv/bin/python" "$here/trackers.py" "$tracker" "$benchmark" "$out/$tracker" \
        >"$out/$tracker.log" 2>&1; then
        measured+=("$out/$tracker")
    else
        echo "run_trackers.sh: $tracker is left out: $(tail -n 1 "$out/$tracker.log")" >&2
    fi
done

evaluate=("$KESTREL" eval tracking --protocol otb --gt "$benchmark" --est "${measured[@]}")
"${evaluate[@]}" --json >"$out/trackers.json"
"${evaluate[@]}" --report "$out/trackers.html"
