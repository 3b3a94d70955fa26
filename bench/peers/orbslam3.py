"""ORB-SLAM3 with one camera, by way of the package pyorbslam3 (GPL-3, a process of its own)."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from peer import Camera, CpuMeter, Matrix, Outcome, Sequence, main
from vocabulary import train

# ORB-SLAM3 maps on threads of its own and loses frames where they come faster than it can map.
SECONDS_PER_FRAME = 0.2

SETTINGS = """%YAML:1.0
File.version: "1.0"
Camera.type: "PinHole"
Camera1.fx: {fx}
Camera1.fy: {fy}
Camera1.cx: {cx}
Camera1.cy: {cy}
Camera1.k1: 0.0
Camera1.k2: 0.0
Camera1.p1: 0.0
Camera1.p2: 0.0
Camera.width: {width}
Camera.height: {height}
Camera.fps: {fps}
Camera.RGB: 1
ORBextractor.nFeatures: 2000
ORBextractor.scaleFactor: 1.2
ORBextractor.nLevels: 8
ORBextractor.iniThFAST: 20
ORBextractor.minThFAST: 7
Viewer.KeyFrameSize: 0.1
Viewer.KeyFrameLineWidth: 1.0
Viewer.GraphLineWidth: 1.0
Viewer.PointSize: 2.0
Viewer.CameraSize: 0.15
Viewer.CameraLineWidth: 2.0
Viewer.ViewpointX: 0.0
Viewer.ViewpointY: -10.0
Viewer.ViewpointZ: -0.1
Viewer.ViewpointF: 2000.0
"""


def vocabulary(sequence: Sequence, folder: Path) -> tuple[Path, str]:
    """ORB-SLAM3's own vocabulary where it is on this machine, else a small one, and which it is."""
    from pyorbslam3 import vocabulary_path

    try:
        return Path(vocabulary_path(download=False)), "its own vocabulary"
    except FileNotFoundError:
        path = folder / "vocabulary.txt"
        train(sequence, path)
        return path, "small vocabulary, trained on these frames: hardly any loop closing"


def settings(camera: Camera, fps: int) -> str:
    """The settings file: KITTI's ORB parameters, whatever the camera."""

    def real(value: float) -> str:
        # The reader takes `718` for a whole number and refuses it.
        return f"{value:.9f}"

    return SETTINGS.format(
        fx=real(camera.fx),
        fy=real(camera.fy),
        cx=real(camera.cx),
        cy=real(camera.cy),
        width=camera.width,
        height=camera.height,
        fps=fps,
    )


def frames_per_second(sequence: Sequence) -> int:
    """The nearest whole number, as the settings want it."""
    duration_s = sequence.stamps_s[-1] - sequence.stamps_s[0]
    return max(1, round((len(sequence.stamps_s) - 1) / duration_s)) if duration_s > 0 else 1


def matrix(row: list[float]) -> Matrix:
    """4x4 of `tx ty tz qx qy qz qw`."""
    x, y, z, w = np.array(row[3:7]) / np.linalg.norm(row[3:7])
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = row[:3]
    return pose


def read_trajectory(path: Path, stamps_s: list[float]) -> dict[int, Matrix]:
    """Rows `stamp_ns tx ty tz qx qy qz qw` by the number of the frame with the nearest stamp."""
    poses: dict[int, Matrix] = {}
    for line in path.read_text().splitlines():
        row = [float(text) for text in line.split()]
        number = int(np.argmin(np.abs(np.array(stamps_s) - row[0] * 1e-9)))
        poses[number] = matrix(row[1:])
    return poses


def run(sequence: Sequence) -> Outcome:
    """All poses as they are after the last frame, relative to adjusted keyframes."""
    import pyorbslam3

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words, note = vocabulary(sequence, folder)
        (folder / "settings.yaml").write_text(
            settings(sequence.camera, frames_per_second(sequence))
        )
        slam = pyorbslam3.Slam(words, folder / "settings.yaml", pyorbslam3.Sensor.MONOCULAR)
        cpu = CpuMeter()
        for _, stamp_s, image in cpu.frames(sequence):
            due_s = time.monotonic() + SECONDS_PER_FRAME
            slam.track_monocular(image, stamp_s)
            time.sleep(max(0.0, due_s - time.monotonic()))
        slam.shutdown()
        cpu.stop()
        trajectory = folder / "trajectory.txt"
        slam.save_trajectory_euroc(str(trajectory))
        poses = read_trajectory(trajectory, sequence.stamps_s) if trajectory.exists() else {}
    return Outcome(
        poses,
        cpu,
        notes=[note, f"frames {SECONDS_PER_FRAME} s apart; poses as known after the run"],
    )


if __name__ == "__main__":
    main("ORB-SLAM3 mono", "pyorbslam3", run)
