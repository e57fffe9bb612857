"""Clips of twelve classes, of which the commonest has 50 times as many as the rarest.

A class is a scene that pans in a direction; textures are frames of real videos. Validation has equally many clips of
each class: rare ones count as much as common ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from official_vision.data.synthetic.demo_videos import SCENES, write_annotations, write_clip
from official_vision.data.synthetic.planted import DIRECTIONS, FRAMES, Part, panned, textures_of

MOST, IMBALANCE = 100, 50  # training clips of the commonest class, and times the rarest's
VALIDATION_CLIPS = 16  # of each class

Clip = tuple[str, str, Part]  # name, split, what it shows


def plan_clips(seed: int = 0) -> list[Clip]:
    """Draws all clips, and which class is how common, the same for the same seed."""
    random = np.random.default_rng(seed)
    classes = list(itertools.product(sorted(SCENES), sorted(DIRECTIONS)))
    clips = []
    for rank, number in enumerate(random.permutation(len(classes))):
        scene, direction = classes[number]
        train = round(MOST * IMBALANCE ** (-rank / (len(classes) - 1)))
        for split, count in (("train", train), ("validation", VALIDATION_CLIPS)):
            for clip in range(count):
                place = tuple(random.uniform(size=3).tolist())
                name = f"{split}_{scene}_{direction}_{clip:03d}"
                clips.append((name, split, Part(scene, direction, place)))
    return clips


def make_long_tail_data(
    footage: Path, output: Path, progress: Callable[[Sequence[Clip]], Iterator[Clip]] = iter
) -> int:
    """Writes clips/ and, at the end, annotations.csv.

    Args:
      footage: folder of the source videos of data/synthetic/demo_videos.py.
      output: folder to write; clips that are there already stay.
      progress: wraps the clips that are written.

    Returns:
      The number of clips in the data set.

    Raises:
      UserError: a source video is missing or broken.
    """
    sources, clips = textures_of(footage), plan_clips()
    missing = [clip for clip in clips if not (output / "clips" / f"{clip[0]}.mp4").is_file()]
    for name, split, part in progress(missing):
        frames = list(panned(part, split, sources[part.scene], FRAMES))
        write_clip(output / "clips" / f"{name}.mp4", frames)
    rows = (
        [f"{name}.mp4", f"{part.scene} moves {part.direction}", split]
        for name, split, part in clips
    )
    write_annotations(output, ("path", "labels", "split"), rows)
    return len(clips)
