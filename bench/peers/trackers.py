"""Single-object trackers over the same sequences: `trackers.py TRACKER BENCHMARK OUT`.

BENCHMARK is a folder of sequences: `NAME/img` and `NAME/groundtruth_rect.txt` (OTB, DTB70), or `NAME/NAME.txt` (UAV123). OUT
gets `NAME.txt` with one box per frame for each, and `tracker.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels, as the benchmark counts them."""

LOST: Box = (math.nan, math.nan, math.nan, math.nan)
PACKAGE = "opencv-contrib-python-headless"
IMAGES = {".jpg", ".jpeg", ".png"}
LATE = {"David": 299}
"""Images before the first box, where the boxes begin late."""


@dataclass(frozen=True)
class Sequence:
    """A target's boxes and the images they belong to."""

    folder: Path
    images: list[Path]
    boxes: list[Box]

    @classmethod
    def open(cls, folder: Path) -> Sequence:
        """Finds images and boxes; ValueError says what is missing."""
        img = folder / "img"
        images = sorted(p for p in (img if img.is_dir() else folder).iterdir() if p.suffix in IMAGES)
        rows = truth_file(folder).read_text().replace(",", " ").splitlines()
        boxes = [box(row) for row in rows if row.strip()]
        first = LATE.get(folder.name, 0) if len(images) > len(boxes) else 0
        images = images[first : first + len(boxes)]
        if not boxes or len(images) != len(boxes):
            raise ValueError(
                f"{folder}: expected an image for each box, found {len(images)} for {len(boxes)}"
            )
        return cls(folder, images, boxes)


def truth_file(folder: Path) -> Path:
    """The file with the boxes of a sequence."""
    otb = folder / "groundtruth_rect.txt"
    return otb if otb.is_file() else folder / f"{folder.name}.txt"


def box(row: str) -> Box:
    """The four numbers that a row begins with."""
    x, y, width, height = (float(field) for field in row.split()[:4])
    return x, y, width, height


def sequences(benchmark: Path) -> list[Sequence]:
    """Every sequence of a benchmark, by name."""
    folders = sorted(p for p in benchmark.iterdir() if p.is_dir() and truth_file(p).is_file())
    if not folders:
        raise ValueError(f"{benchmark}: expected folders of sequences, found none")
    return [Sequence.open(folder) for folder in folders]


@dataclass(frozen=True)
class Outcome:
    """What a tracker made of a sequence."""

    boxes: list[Box]
    cpu_s: float


def only(folder: Path, pattern: str) -> Path:
    """The one file of that kind."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise ValueError(f"{folder}: expected one file {pattern}, found {len(found)}")
    return found[0]


def nano() -> Any:
    """NanoTrack with the models in the folder NANOTRACK_MODELS."""
    models = Path(os.environ.get("NANOTRACK_MODELS", "."))
    parameters = cv2.TrackerNano_Params()
    parameters.backbone = str(only(models, "*backbone*.onnx"))
    parameters.neckhead = str(only(models, "*head*.onnx"))
    return cv2.TrackerNano_create(parameters)


OPENCV: dict[str, Callable[[], Any]] = {
    "CSRT": lambda: cv2.TrackerCSRT_create(),
    "KCF": lambda: cv2.TrackerKCF_create(),
    "MOSSE": lambda: cv2.legacy.TrackerMOSSE_create(),
    "MedianFlow": lambda: cv2.legacy.TrackerMedianFlow_create(),
    "NanoTrack": nano,
}


def read_image(path: Path) -> NDArray[np.uint8]:
    """A colour image."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: cannot be read as an image")
    return np.asarray(image, dtype=np.uint8)


def opencv(create: Callable[[], Any], sequence: Sequence) -> Outcome:
    """Shown the target once, in the first image; only its own work is timed."""
    tracker = create()
    first = read_image(sequence.images[0])
    start_s = time.process_time()
    tracker.init(first, tuple(round(value) for value in sequence.boxes[0]))
    cpu_s = time.process_time() - start_s
    boxes = [sequence.boxes[0]]
    for path in sequence.images[1:]:
        image = read_image(path)
        start_s = time.process_time()
        found, answer = tracker.update(image)
        cpu_s += time.process_time() - start_s
        x, y, width, height = answer if found else LOST
        boxes.append((float(x), float(y), float(width), float(height)))
    return Outcome(boxes, cpu_s)


def kestrel(sequence: Sequence, out: Path) -> Outcome:
    """`kestrel track` with the program that KESTREL names."""
    shown = ",".join(f"{value:g}" for value in sequence.boxes[0])
    file = out / f"{sequence.folder.name}.csv"
    program = os.environ.get("KESTREL", "kestrel")
    arguments = ["track", str(sequence.folder), "--box", shown, "--out", str(file), "--json"]
    answer = subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    boxes = [box(row.replace(",", " ")) for row in file.read_text().splitlines()]
    cpu_s = json.loads(answer.stdout)["cpu_ms_per_frame"] * len(boxes) / 1e3
    return Outcome(boxes, cpu_s)


def runs(name: str, benchmark: Path, out: Path) -> Iterator[tuple[Sequence, Outcome]]:
    """Each sequence and what the tracker made of it."""
    for sequence in sequences(benchmark):
        if name == "Kestrel":
            yield sequence, kestrel(sequence, out)
        else:
            yield sequence, opencv(OPENCV[name], sequence)


def measure(name: str, benchmark: Path, out: Path) -> dict[str, Any]:
    """Leaves a file for each sequence; the record of them all."""
    frames, cpu_s = 0, 0.0
    for sequence, outcome in runs(name, benchmark, out):
        rows = (",".join(f"{value:.6g}" for value in found) + "\n" for found in outcome.boxes)
        (out / f"{sequence.folder.name}.txt").write_text("".join(rows))
        frames += len(outcome.boxes)
        cpu_s += outcome.cpu_s
    record: dict[str, Any] = {"name": name, "cpu_ms_per_frame": 1e3 * cpu_s / frames}
    if name in OPENCV:
        record["version"] = f"{PACKAGE} {version(PACKAGE)}"
    return record


def main() -> None:
    """Runs one tracker; the record says what it took or why it failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tracker", choices=["Kestrel", *OPENCV])
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    cv2.setRNGSeed(0)
    try:
        record = measure(arguments.tracker, arguments.benchmark, out)
    except Exception as error:  # whatever stops a tracker is what its record says
        traceback.print_exc()
        sys.exit(f"{arguments.tracker} failed: {type(error).__name__}: {error}")
    (out / "tracker.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
