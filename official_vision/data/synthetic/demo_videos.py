"""The demo's data set: short labelled clips cut from three real videos.

Labels, several per clip: which of the three scenes it shows, and how it is played. Each source is cut
into runs of frames, one run in four for validation, so that no source frame is in both splits.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from official_vision import files
from official_vision.data.video import decode
from official_vision.errors import UserError

SCENES = {"bikes": "bikes.mp4", "bunny": "bigbuckbunny.mp4", "carphone": "carphone_pristine.mp4"}
CLIP_FRAMES = 12
_SHORT_SIDE = 96
_FPS = 25
_VALIDATION_EVERY = 4
# A clip at double speed spans this many source frames.
_SPAN = 2 * CLIP_FRAMES
_RUN_LENGTHS = {"train": _SPAN + 12, "validation": _SPAN + 6}
LEAST_FRAMES = sum(_RUN_LENGTHS.values())
_CLIPS_PER_SCENE = {"train": 112, "validation": 40}


@dataclasses.dataclass(frozen=True)
class DemoClip:
    """A clip: the source frames it shows, in order, and what it is called."""

    name: str
    scene: str
    playback: str
    split: str
    frames: tuple[int, ...]


def _played(playback: str, start: int) -> tuple[int, ...]:
    """Returns the source frames of a clip within the span of frames that begins at `start`."""
    steps = np.arange(CLIP_FRAMES)
    frames = {
        "forward": start + steps,
        "reversed": start + steps[::-1],
        "double_speed": start + 2 * steps,
        "frozen": np.full(CLIP_FRAMES, start),
    }[playback]
    return tuple(int(frame) for frame in frames)


PLAYBACKS = ("forward", "reversed", "double_speed", "frozen")


def plan_clips(scene: str, num_frames: int) -> list[DemoClip]:
    """Chooses a scene's clips: all playbacks equally often, at starts spread over each split's runs.

    A source of less than LEAST_FRAMES has no run for validation, and gives no clips.
    """
    if num_frames < LEAST_FRAMES:
        return []
    clips = []
    for split, runs in _runs(num_frames).items():
        starts = [s for run in runs for s in range(run.start, run.stop - _SPAN + 1)]
        count = _CLIPS_PER_SCENE[split] // len(PLAYBACKS)
        chosen = np.linspace(0, len(starts) - 1, count).round().astype(int)
        for number, position in enumerate(chosen):
            for playback in PLAYBACKS:
                frames = _played(playback, starts[position])
                clips.append(
                    DemoClip(
                        f"{scene}_{split}_{number:03d}_{playback}.mp4",
                        scene,
                        playback,
                        split,
                        frames,
                    )
                )
    return clips


def _runs(num_frames: int) -> dict[str, list[range]]:
    """Cuts 0..num_frames into runs: three for training, one for validation, and so on."""
    runs: dict[str, list[range]] = {"train": [], "validation": []}
    start, number = 0, 0
    while True:
        split = "validation" if number % _VALIDATION_EVERY == 1 else "train"
        stop = start + _RUN_LENGTHS[split]
        if stop > num_frames:
            return runs
        runs[split].append(range(start, stop))
        start, number = stop, number + 1


def make_demo_data(
    footage: Path, output: Path, progress: Callable[[Sequence[DemoClip]], Iterator[DemoClip]] = iter
) -> int:
    """Writes the missing clips and, at the end, annotations.csv.

    Args:
      footage: folder of the three source videos.
      output: folder for clips/ and annotations.csv.
      progress: wraps the clips that are written.

    Returns:
      The number of clips in the data set.

    Raises:
      UserError: a source video is missing or broken.
    """
    clips = []
    for scene, file in SCENES.items():
        source = [frame.rgb for frame in decode(footage / file, _SHORT_SIDE)]
        planned = plan_clips(scene, len(source))
        if not planned:
            raise UserError(
                f"A source video needs at least {LEAST_FRAMES} frames. "
                f"Received: {footage / file}, which has {len(source)}. Take the original."
            )
        missing = [clip for clip in planned if not (output / "clips" / clip.name).is_file()]
        for clip in progress(missing):
            write_clip(output / "clips" / clip.name, [source[frame] for frame in clip.frames])
        clips += planned
    write_annotations(output, ("path", "labels", "split", "id"), _rows(clips))
    return len(clips)


def _rows(clips: Sequence[DemoClip]) -> Iterator[list[str]]:
    for clip in clips:
        labels = f"scene_{clip.scene};play_{clip.playback}"
        frames = f"{min(clip.frames)}-{max(clip.frames)}"
        yield [clip.name, labels, clip.split, f"{Path(clip.name).stem}@frames{frames}"]


def write_annotations(folder: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Writes annotations.csv of a generated data set into its folder.

    Args:
      folder: of the data set.
      header: names of the columns.
      rows: a row for each clip.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    files.write_text(folder / "annotations.csv", text.getvalue())


def write_clip(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Writes frames, uint8 rgb [height, width, 3], as H.264 at 25 frames/s; odd sizes lose a row or column."""
    # 4:2:0 video needs even sizes; one thread makes the bytes the same on every machine.
    height, width = (size // 2 * 2 for size in frames[0].shape[:2])
    with files.written_aside(path) as partial, av.open(os.path.abspath(partial), "w") as container:
        options = {"crf": "12", "preset": "fast", "threads": "1"}
        stream = container.add_stream("libx264", rate=Fraction(_FPS), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for rgb in frames:
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(rgb[:height, :width]), "rgb24"
            )
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
