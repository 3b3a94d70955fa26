"""What every peer needs: the frames, the clock and the record of what came out."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Matrix = NDArray[np.float64]

CPU_MEASURE = "process time over all threads from first to last frame, image reading left out"


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion; everything in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def matrix(self) -> Matrix:
        """The 3x3 matrix of the intrinsics."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])


@dataclass(frozen=True)
class Sequence:
    """A folder as KITTI's odometry benchmark lays it out: image_0, times.txt, calib.txt."""

    folder: Path
    images: list[Path]
    stamps_s: list[float]
    camera: Camera

    @classmethod
    def open(cls, folder: Path) -> Sequence:
        """Finds the frames; ValueError or OSError says what is missing."""
        images = sorted(p for p in (folder / "image_0").iterdir() if p.suffix in {".png", ".jpg"})
        stamps_s = [float(line) for line in (folder / "times.txt").read_text().split()]
        if not images or len(images) != len(stamps_s):
            raise ValueError(
                f"{folder}: expected one stamp per image, "
                f"found {len(images)} images and {len(stamps_s)} stamps"
            )
        return cls(
            folder, images, stamps_s, cls._camera(folder / "calib.txt", read_image(images[0]))
        )

    @staticmethod
    def _camera(calibration: Path, first: Image) -> Camera:
        rows = [line.split() for line in calibration.read_text().splitlines()]
        p0 = next((row[1:] for row in rows if row and row[0] == "P0:"), None)
        if p0 is None or len(p0) != 12:
            raise ValueError(f"{calibration}: expected a row `P0:` with 12 numbers")
        height, width = first.shape
        return Camera(width, height, float(p0[0]), float(p0[5]), float(p0[2]), float(p0[6]))


def read_image(path: Path) -> Image:
    """A grey image."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise ValueError(f"{path}: cannot be read as an image")
    return np.asarray(image, dtype=np.uint8)


@dataclass
class CpuMeter:
    """CPU time of this process and all its threads, with the reading of images kept apart."""

    start_s: float = field(default_factory=time.process_time)
    reading_s: float = 0.0
    total_s: float = 0.0

    def read(self, path: Path) -> Image:
        """Reads an image; images are decoded on this thread, so its own clock tells their time."""
        start_s = time.thread_time()
        image = read_image(path)
        self.reading_s += time.thread_time() - start_s
        return image

    def frames(self, sequence: Sequence) -> Iterator[tuple[int, float, Image]]:
        """Number, stamp in seconds and image of each frame."""
        for number, (stamp_s, path) in enumerate(
            zip(sequence.stamps_s, sequence.images, strict=True)
        ):
            yield number, stamp_s, self.read(path)

    def stop(self) -> None:
        """To be called when every thread of the peer has done its work."""
        self.total_s = time.process_time() - self.start_s


@dataclass(frozen=True)
class Outcome:
    """What a peer made of a sequence."""

    world_from_camera: Mapping[int, Matrix]
    """4x4 by frame number; frames without a pose are missing."""
    cpu: CpuMeter
    has_rotation: bool = True
    """False where the peer tells positions only."""
    notes: Several[str] = ()


def main(name: str, package: str, run: Callable[[Sequence], Outcome]) -> None:
    """The program `PEER.py SEQUENCE OUT`, which leaves peer.json and trajectory.txt in OUT."""
    parser = argparse.ArgumentParser(description=f"{name} over a sequence in KITTI's layout")
    parser.add_argument("sequence", type=Path)
    parser.add_argument("out", type=Path, help="folder for peer.json and trajectory.txt")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"name": name}
    try:
        record["version"] = f"{package} {version(package)}"
        sequence = Sequence.open(arguments.sequence)
        record |= _write(out, sequence, run(sequence))
    except Exception as error:  # whatever stops a peer is the content of its row
        traceback.print_exc()
        record["failure"] = f"{type(error).__name__}: {error}"
    (out / "peer.json").write_text(json.dumps(record, indent=2) + "\n")
    sys.exit(1 if "failure" in record else 0)


def _write(out: Path, sequence: Sequence, outcome: Outcome) -> dict[str, Any]:
    frames, poses = len(sequence.images), outcome.world_from_camera
    if not poses:
        return {"failure": f"none of {frames} frames was posed"}
    rows = (f"{number} {_numbers(poses[number])}\n" for number in sorted(poses))
    (out / "trajectory.txt").write_text("".join(rows))
    cpu = outcome.cpu
    return {
        "sequence": str(sequence.folder.resolve()),
        "frames": frames,
        "frames_posed": len(poses),
        "has_rotation": outcome.has_rotation,
        "cpu_ms_per_frame": 1e3 * (cpu.total_s - cpu.reading_s) / frames,
        "reading_cpu_ms_per_frame": 1e3 * cpu.reading_s / frames,
        "cpu_measure": CPU_MEASURE,
        "notes": list(outcome.notes),
    }


def _numbers(pose: Matrix) -> str:
    return " ".join(f"{value:.9e}" for value in pose[:3].ravel())
