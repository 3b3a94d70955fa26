#!/usr/bin/env bash
# Makes bench/peers/.venv with the peers in it. A peer that can't be installed is left out, and its row says so.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/.venv

"${PYTHON:-python3}" -m venv "$venv"
while read -r package; do
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$package" ||
        echo "setup.sh: $package cannot be installed here and is left out" >&2
done < <(grep -v '^#' "$here/requirements.txt")
"$venv/bin/python" -m pip list --disable-pip-version-check
