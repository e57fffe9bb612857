"""Reads the annotations that PrepareSpec names, whatever their format."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from official_vision.data.annotations.automatic_split import divide
from official_vision.data.annotations.formats import READERS
from official_vision.data.annotations.manifest import Manifest
from official_vision.errors import UserError
from official_vision.names import shown
from official_vision.specs import PrepareSpec

# By a file's ending, where settings leave the format open.
_FORMATS = {".csv": "csv", ".jsonl": "json_lines", ".ndjson": "json_lines", ".json": "json_lines"}


def with_videos_folder(spec: PrepareSpec) -> PrepareSpec:
    """Returns the settings with `videos` set: by default the folder of the annotations."""
    path = Path(spec.annotations)
    folder = path if path.is_dir() else path.parent
    return spec if spec.videos else dataclasses.replace(spec, videos=str(folder))


def read_manifest(spec: PrepareSpec) -> Manifest:
    """Reads the annotations that `spec` names, and divides videos without a split.

    Raises:
      UserError: they or the output are not named, can't be read, or break their format's rules.
    """
    if not spec.annotations or not spec.output:
        raise UserError(
            "PrepareSpec.annotations and PrepareSpec.output must be set. "
            f"Received: {spec.annotations!r} and {spec.output!r}. Name the annotation file and the output folder."
        )
    reader = READERS[_format(spec)]
    return divide(reader(spec.annotations, spec.protocol, spec.videos), spec)


def _format(spec: PrepareSpec) -> str:
    if spec.annotation_format != "auto":
        return spec.annotation_format
    path = Path(spec.annotations)
    name = "folders" if path.is_dir() else _FORMATS.get(path.suffix.lower(), "")
    if not name:
        raise UserError(
            f"Annotations are a folder, or a file {', '.join(_FORMATS)}, unless PrepareSpec.annotation_format says "
            f"more. Received: {shown(path)!r}. Set it."
        )
    return name
