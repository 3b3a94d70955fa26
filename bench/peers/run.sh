#!/usr/bin/env bash
# Runs Kestrel and every peer over one sequence in KITTI's layout, one after the other, and prints one table.
set -euo pipefail

usage="usage: bench/peers/run.sh SEQUENCE [GT]
  SEQUENCE  folder with image_0, times.txt and calib.txt
  GT        ground truth, one KITTI row per frame; default: SEQUENCE/../../poses/NAME.txt
environment
  KESTREL   the binary; default: target/release/kestrel, built where it is missing
  OUT       folder for all that comes out; default: runs/peers/NAME; an earlier one is kept as NAME.1
  LIMIT_S   seconds after which a program is given up; default: 3600"
[[ $# -eq 1 || $# -eq 2 ]] && [[ $1 != -* ]] || { echo "$usage" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[[ -d $1/image_0 ]] || { echo "run.sh: expected a sequence with image_0, found $1" >&2; exit 1; }
sequence=$(cd "$1" && pwd)
name=$(basename "$sequence")
truth=${2:-$(dirname "$(dirname "$sequence")")/poses/$name.txt}
[[ -f $truth ]] || { echo "run.sh: expected ground truth, found no file $truth" >&2; exit 1; }
out=${OUT:-$root/runs/peers/$name}
limit_s=${LIMIT_S:-3600}
python=$here/.venv/bin/python

kestrel=${KESTREL:-${CARGO_TARGET_DIR:-$root/target}/release/kestrel}
[[ -x $kestrel ]] || (cd "$root" && cargo build --release --locked --no-default-features --features flight)
[[ -x $python ]] || "$here/setup.sh"

# A program that left no record of its own gets one that says how it ended.
run() {
    local folder=$out/$1 record=$2 title=$3 code=0
    shift 3
    echo "run.sh: $title" >&2
    mkdir -p "$folder"
    timeout "$limit_s" "$@" >"$folder.log" 2>&1 || code=$?
    local ending="ended with exit code $code"
    [[ $code -ne 124 ]] || ending="given up after $limit_s s"
    if [[ ! -f $folder/$record ]]; then
        printf '{"name": "%s", "failure": "%s"}\n' "$title" "$ending" >"$folder/peer.json"
    fi
    [[ $code -eq 0 ]] || echo "run.sh: $title $ending; see $folder.log" >&2
}

# As `kestrel run` does: what is there is kept under another name.
if [[ -e $out ]]; then
    earlier=1
    while [[ -e $out.$earlier ]]; do earlier=$((earlier + 1)); done
    mv "$out" "$out.$earlier"
fi
mkdir -p "$out"
run kestrel metrics.json Kestrel "$kestrel" run "$sequence" --out "$out/kestrel" --headless --no-recording --no-detector
run orbslam3 peer.json "ORB-SLAM3 mono" "$python" "$here/orbslam3.py" "$sequence" "$out/orbslam3"
run svo peer.json SVO "$python" "$here/svo.py" "$sequence" "$out/svo"
run opencv_klt peer.json "OpenCV KLT + 5-point" "$python" "$here/opencv_klt.py" "$sequence" "$out/opencv_klt"

runs=("$out/kestrel" "$out/orbslam3" "$out/svo" "$out/opencv_klt")
"$kestrel" eval peers --gt "$truth" "${runs[@]}" --json >"$out/peers.json"
"$kestrel" eval peers --gt "$truth" "${runs[@]}" --report "$out/peers.html"
