"""The files that are written of each video's prediction."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import files, formats
from official_vision.serving.videos import output_files
from official_vision.serving.videos.video_list import ANNOTATED

RESULT = "prediction"
_ENDINGS = ("json", "timeline.png", ANNOTATED)


@dataclasses.dataclass(frozen=True)
class Outputs:
    """A video's files: scores and segments, timeline, and the annotated video if requested."""

    json: Path
    timeline: Path
    overlay: Path | None

    def done(self, request: Mapping[str, Any]) -> bool:
        """Returns whether all files exist and were made for the same request."""
        others = [path for path in (self.timeline, self.overlay) if path is not None]
        return output_files.is_done(self.json, others, formats.PREDICTION, RESULT, request)

    def check_replaceable(self) -> None:
        """Refuses, as `output_files.check_replaceable`, to replace a JSON file of another origin."""
        output_files.check_replaceable(self.json, "Predictions", RESULT)


def outputs_of(
    videos: Sequence[str], folder: str | os.PathLike, overlay: bool
) -> dict[str, Outputs]:
    """Names each video's files.

    Args:
      videos: paths.
      folder: of the outputs; it is made.
      overlay: whether there is to be an annotated video.

    Raises:
      UserError: the folder can't be made or written.
    """
    named: dict[str, Outputs] = {}
    for video, path in output_files.names_of(videos, folder, _ENDINGS).items():
        json_file, timeline, annotated = (output_files.with_ending(path, e) for e in _ENDINGS)
        named[video] = Outputs(json_file, timeline, annotated if overlay else None)
    return named


def write_all(path: str | os.PathLike, outputs: Sequence[Outputs]) -> None:
    """Writes the predictions of many videos as one JSON list, with one in memory at a time.

    Args:
      path: of the JSON file.
      outputs: of videos whose JSON files exist.
    """
    with (
        files.written_aside(path) as partial,
        open(partial, "w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        for number, files_of_video in enumerate(outputs):
            prediction = formats.PREDICTION.read(files_of_video.json)[RESULT]
            file.write("[\n" if number == 0 else ",\n")
            file.write(json.dumps(prediction, ensure_ascii=False, allow_nan=False))
        file.write("\n]\n" if outputs else "[]\n")
