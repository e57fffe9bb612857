"""A data set with a planted truth: the objects show when scene and motion matter.

Every clip shows two scenes, one after the other, each panning in another direction; textures are
frames of real videos. A square in the middle of each frame has object id LIVE while the scene and the
direction that the clip is labelled with are seen, and id OTHER else. Which part comes first is drawn,
and each class is as often in the one part as in the other: neither pictures nor motion show which
part counts. A network that averages over time gets each label right half of the time, unless its
connections from rgb and flow are opened by the objects.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from official_vision.data.synthetic.demo_videos import SCENES, write_annotations, write_clip
from official_vision.data.video import decode

DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
OTHER, LIVE = 1, 2  # object ids; 0 is nothing
FRAMES = 12
SIZE = 48
CLIPS = {"train": 384, "validation": 192}
_PIXELS_A_FRAME = 2
_SHORT_SIDE = 96
# Sources are cut here, so that no texture is in both splits.
_SHARE_FOR_TRAINING = 0.75


@dataclasses.dataclass(frozen=True)
class Part:
    """Half of a clip: a scene that pans.

    Attributes:
      scene: name of the source.
      direction: in which the picture moves.
      place: of its texture: the source frame as a share of the split's frames, then the left and upper
        edges as shares of what a window that pans can choose from; 0 to 1 each.
    """

    scene: str
    direction: str
    place: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class PlantedClip:
    """A clip: its two parts in order, and which of them is the live one."""

    name: str
    split: str
    parts: tuple[Part, Part]
    live: int


def plan_clips(seed: int = 0) -> list[PlantedClip]:
    """Draws all clips, the same for the same seed: both parts of a clip differ in scene and direction."""
    random = np.random.default_rng(seed)
    return [
        PlantedClip(f"{split}_{number:03d}", split, _parts(random), int(random.integers(2)))
        for split, count in CLIPS.items()
        for number in range(count)
    ]


def _parts(random: np.random.Generator) -> tuple[Part, Part]:
    scenes = random.permutation(sorted(SCENES))
    directions = random.permutation(sorted(DIRECTIONS))
    first, second = (
        Part(str(scene), str(direction), tuple(random.uniform(size=3).tolist()))
        for scene, direction in zip(scenes[:2], directions[:2], strict=True)
    )
    return first, second


def make_planted_data(
    footage: Path,
    output: Path,
    progress: Callable[[Sequence[PlantedClip]], Iterator[PlantedClip]] = iter,
) -> int:
    """Writes clips/ (videos), ids/ (a folder of PNGs per clip) and, at the end, annotations.csv.

    Args:
      footage: folder of the source videos of data/synthetic/demo_videos.py.
      output: folder to write; clips that are there already stay.
      progress: wraps the clips that are written.

    Returns:
      The number of clips in the data set.

    Raises:
      UserError: a source video is missing or broken.
    """
    sources = textures_of(footage)
    clips = plan_clips()
    missing = [clip for clip in clips if not (output / "clips" / f"{clip.name}.mp4").is_file()]
    for clip in progress(missing):
        _write_ids(output / "ids" / clip.name, clip)
        write_clip(output / "clips" / f"{clip.name}.mp4", frames_of(clip, sources))
    write_annotations(output, ("path", "labels", "split"), _rows(clips))
    return len(clips)


def textures_of(footage: Path) -> dict[str, list[np.ndarray]]:
    """Returns the frames of each scene's source, uint8 rgb [height, width, 3]."""
    return {
        scene: [frame.rgb for frame in decode(footage / file, _SHORT_SIDE)]
        for scene, file in SCENES.items()
    }


def frames_of(clip: PlantedClip, sources: dict[str, list[np.ndarray]]) -> list[np.ndarray]:
    """Returns a clip's frames, uint8 rgb [SIZE, SIZE, 3], cut from the scenes' sources."""
    return [
        frame
        for part in clip.parts
        for frame in panned(part, clip.split, sources[part.scene], FRAMES // 2)
    ]


def panned(part: Part, split: str, source: list[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yields windows over one texture, moved against the direction in which the picture is to move.

    Args:
      part: what to show.
      split: train or validation, which have no texture in common.
      source: frames of the part's scene, uint8 rgb [height, width, 3].
      count: windows.
    """
    border = int(_SHARE_FOR_TRAINING * len(source))
    part_of_source = source[:border] if split == "train" else source[border:]
    texture = part_of_source[int(part.place[0] * len(part_of_source))]
    right, down = DIRECTIONS[part.direction]
    way = _PIXELS_A_FRAME * (count - 1)
    room = np.array(texture.shape[:2]) - SIZE - way
    top = int(part.place[2] * (room[0] + 1)) + way * (down > 0)
    left = int(part.place[1] * (room[1] + 1)) + way * (right > 0)
    for step in range(count):
        y, x = top - _PIXELS_A_FRAME * down * step, left - _PIXELS_A_FRAME * right * step
        yield texture[y : y + SIZE, x : x + SIZE]


def _write_ids(folder: Path, clip: PlantedClip) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(FRAMES):
        ids = np.zeros((SIZE, SIZE), np.uint8)
        is_live = clip.live == number // (FRAMES // 2)
        ids[SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4] = LIVE if is_live else OTHER
        cv2.imwrite(str(folder / f"{number:03d}.png"), ids)


def _rows(clips: Sequence[PlantedClip]) -> Iterator[list[str]]:
    for clip in clips:
        live = clip.parts[clip.live]
        yield [f"{clip.name}.mp4", f"scene_{live.scene};moves_{live.direction}", clip.split]
