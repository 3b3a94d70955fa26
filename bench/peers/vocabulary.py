"""A small bag of words for ORB-SLAM3, for machines that can't download its 139 MB one.

Written in the text format that DBoW2 reads: `branching depth scoring weighting`, then one node
a line, parents first: `parent is_word 32_bytes weight`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from peer import Sequence, read_image

BRANCHING = 10
DEPTH = 6
# ORB-SLAM3 compares features below nodes of this level, so no word may lie above it.
MATCHING_LEVEL = 2
MIN_TO_SPLIT = 4 * BRANCHING
ROUNDS = 8
L1_SCORING = 0
TF_IDF_WEIGHTING = 0
IMAGES = 60
FEATURES_PER_IMAGE = 2000

Descriptors = NDArray[np.uint8]
"""N x 32 bytes."""
Signs = NDArray[np.float32]
"""N x 256, the bits as -1 and 1, so that a dot product counts those that agree."""


@dataclass(frozen=True)
class Node:
    """A node of the tree; the root is not among them and has number 0."""

    parent: int
    centre: Descriptors
    members: NDArray[np.intp]
    level: int


def train(sequence: Sequence, path: Path) -> None:
    """Trains on evenly spaced frames of a sequence and writes the vocabulary."""
    descriptors, image_of = describe(sequence)
    nodes, words = grow(descriptors)
    lines = [f"{BRANCHING} {DEPTH} {L1_SCORING} {TF_IDF_WEIGHTING}"]
    images = len(np.unique(image_of))
    for number, node in enumerate(nodes, start=1):
        is_word = number in words
        seen_in = len(np.unique(image_of[node.members]))
        weight = math.log(images / seen_in) if is_word else 0.0
        lines.append(f"{node.parent} {int(is_word)} {' '.join(map(str, node.centre))} {weight:.6g}")
    # DBoW2 would take a newline at the end for one more node.
    path.write_text("\n".join(lines))


def describe(sequence: Sequence) -> tuple[Descriptors, NDArray[np.intp]]:
    """ORB descriptors, and the number of the image that each comes from."""
    orb = cv2.ORB.create(FEATURES_PER_IMAGE)
    step = max(1, len(sequence.images) // IMAGES)
    found: list[Descriptors] = []
    image_of: list[int] = []
    for index, image in enumerate(sequence.images[::step]):
        _, descriptors = orb.detectAndCompute(read_image(image), None)
        if descriptors is not None:
            found.append(np.asarray(descriptors, np.uint8))
            image_of.extend([index] * len(descriptors))
    if sum(map(len, found)) < MIN_TO_SPLIT:
        raise ValueError("too few ORB features in the sequence to train a vocabulary")
    return np.concatenate(found), np.array(image_of)


def grow(descriptors: Descriptors) -> tuple[list[Node], set[int]]:
    """The nodes, parents first, and the numbers of those that are words."""
    random = np.random.default_rng(0)
    signs = np.unpackbits(descriptors, axis=1).astype(np.float32) * 2 - 1
    nodes: list[Node] = []
    words: set[int] = set()
    waiting = [(0, np.arange(len(descriptors)), 0)]
    while waiting:
        number, members, level = waiting.pop(0)
        if level >= MATCHING_LEVEL and (level == DEPTH or len(members) < MIN_TO_SPLIT):
            words.add(number)
            continue
        for centre, part in split(signs, members, random):
            nodes.append(Node(number, np.packbits(centre > 0), part, level + 1))
            waiting.append((len(nodes), part, level + 1))
    return nodes, words


def split(
    signs: Signs, members: NDArray[np.intp], random: np.random.Generator
) -> list[tuple[Signs, NDArray[np.intp]]]:
    """K-medians under the Hamming distance; parts that nothing belongs to are left out."""
    own = signs[members]
    centres = own[random.choice(len(own), min(BRANCHING, len(own)), replace=False)]
    nearest = np.argmax(own @ centres.T, axis=1)
    for _ in range(ROUNDS):
        votes = [own[nearest == i].sum(axis=0) for i in range(len(centres))]
        centres = np.where(np.array(votes) > 0, 1, -1).astype(np.float32)
        nearest = np.argmax(own @ centres.T, axis=1)
    parts = ((centre, members[nearest == i]) for i, centre in enumerate(centres))
    return [(centre, part) for centre, part in parts if len(part)]
