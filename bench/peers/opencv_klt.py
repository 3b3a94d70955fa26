"""Textbook odometry with OpenCV: Lucas-Kanade tracks, five-point essential matrix, unit steps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from peer import CpuMeter, Image, Matrix, Outcome, Sequence, main

MAX_CORNERS = 1500
MIN_TRACKED = 1000
MIN_CORNER_DISTANCE_PX = 10
CORNER_QUALITY = 0.01
WINDOW_PX = (21, 21)
RANSAC_CONFIDENCE = 0.999
RANSAC_THRESHOLD_PX = 1.0
FIVE_POINTS = 5

Points = NDArray[np.float32]
"""Pixels, N x 1 x 2."""


def corners(image: Image) -> Points:
    """Shi-Tomasi corners, the best first."""
    found = cv2.goodFeaturesToTrack(image, MAX_CORNERS, CORNER_QUALITY, MIN_CORNER_DISTANCE_PX)
    return np.empty((0, 1, 2), np.float32) if found is None else np.asarray(found, np.float32)


def follow(previous: Image, image: Image, points: Points) -> tuple[Points, Points]:
    """The points that were found again, in both images."""
    if len(points) == 0:
        return points, points
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        previous, image, points, np.empty_like(points), winSize=WINDOW_PX
    )
    found = status.ravel() == 1
    return points[found], moved[found]


def motion(before: Points, after: Points, camera: Matrix) -> Matrix | None:
    """`previous_from_current` of unit length, or None where the tracks don't tell."""
    if len(before) < FIVE_POINTS:
        return None
    essential, inliers = cv2.findEssentialMat(
        before, after, camera, cv2.RANSAC, RANSAC_CONFIDENCE, RANSAC_THRESHOLD_PX
    )
    if essential is None or essential.shape != (3, 3):
        return None
    _, rotation, translation, _ = cv2.recoverPose(essential, before, after, camera, mask=inliers)
    current_from_previous = np.eye(4)
    current_from_previous[:3, :3] = rotation
    current_from_previous[:3, 3] = translation.ravel()
    return np.asarray(np.linalg.inv(current_from_previous), dtype=np.float64)


def run(sequence: Sequence) -> Outcome:
    """Frame to frame; where the tracks don't tell, the last motion goes on."""
    cv2.setNumThreads(1)
    cv2.setRNGSeed(0)
    camera = sequence.camera.matrix()
    world_from_camera = {0: np.eye(4)}
    step = np.eye(4)
    guesses = 0
    cpu = CpuMeter()
    frames = cpu.frames(sequence)
    _, _, previous = next(frames)
    points = corners(previous)
    for number, _, image in frames:
        if len(points) < MIN_TRACKED:
            points = corners(previous)
        before, after = follow(previous, image, points)
        measured = motion(before, after, camera)
        guesses += measured is None
        step = step if measured is None else measured
        world_from_camera[number] = world_from_camera[number - 1] @ step
        previous, points = image, after
    cpu.stop()
    notes = ["frame to frame; every step has length one, so changes of speed are errors"]
    if guesses:
        notes.append(f"in {guesses} frames the last motion was repeated")
    return Outcome(world_from_camera, cpu, notes=notes)


if __name__ == "__main__":
    main("OpenCV KLT + 5-point", "opencv-python-headless", run)
