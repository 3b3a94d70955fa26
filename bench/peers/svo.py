"""SVO, by way of the package svo-cpp (GPL-3, a process of its own)."""

from __future__ import annotations

import numpy as np

from peer import CpuMeter, Matrix, Outcome, Sequence, main


def longest_map(maps: list[dict[int, Matrix]]) -> dict[int, Matrix]:
    """Each start of SVO has its own origin and scale, so only one of them can be measured."""
    return max(maps, key=len, default={})


def run(sequence: Sequence) -> Outcome:
    """SVO with its default configuration."""
    import svo_cpp

    camera = sequence.camera
    model = svo_cpp.PinholeCamera(
        camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
    )
    svo = svo_cpp.SVO(model)
    maps: list[dict[int, Matrix]] = [{}]
    svo.start()
    cpu = CpuMeter()
    for number, stamp_s, image in cpu.frames(sequence):
        svo.addImage(image, stamp_s)
        stage = svo.stage()
        if stage == svo_cpp.Stage.DEFAULT_FRAME:
            pose = np.eye(4)
            pose[:3, 3] = svo.lastFrame().T_f_w.inverse().translation()
            maps[-1][number] = pose
        elif stage == svo_cpp.Stage.PAUSED:
            svo.start()
        elif stage in (svo_cpp.Stage.FIRST_FRAME, svo_cpp.Stage.SECOND_FRAME) and maps[-1]:
            maps.append({})
    cpu.stop()
    notes = ["svo-cpp tells positions only: no drift over segments"]
    starts = sum(1 for poses in maps if poses)
    if starts > 1:
        notes.append(f"started {starts} times; the longest part counts")
    return Outcome(longest_map(maps), cpu, has_rotation=False, notes=notes)


if __name__ == "__main__":
    main("SVO", "svo-cpp", run)
