"""The files that this package writes and reads again, each format with one version number.

A file names its format and its version. A file of another version, or of none, is refused in one line that shows how
to make it anew: nothing reads files of other versions. A change of what a format's files mean raises its version.

Files that grow by lines have the version of the settings beside them: history.jsonl and learned.jsonl that of a run's
config.json, population.jsonl that of evolution.json.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from official_vision import files
from official_vision.errors import UserError

_FORMAT, _VERSION = "format", "version"
HEADER = (_FORMAT, _VERSION)  # keys of a file's format and version


@dataclasses.dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
      name: of the format, in each file.
      version: of the format, in each file.
      remedy: a sentence that shows how to get a file of this version.
    """

    name: str
    version: int
    remedy: str

    @property
    def header(self) -> dict[str, Any]:
        """The format and version in a file."""
        return {_FORMAT: self.name, _VERSION: self.version}

    def check(self, values: Any, path: str | os.PathLike) -> dict[str, Any]:
        """Checks the format and version in a file.

        Args:
          values: the file's JSON values.
          path: of the file, for errors.

        Returns:
          The values without the header.

        Raises:
          UserError: the file is of another format or version.
        """
        has = [values.get(key) for key in HEADER] if isinstance(values, Mapping) else [None, None]
        if has != list(self.header.values()):
            received = "none" if has == [None, None] else f"format {has[0]}, version {has[1]}"
            raise UserError(
                f"The file must have format {self.name}, version {self.version}. Received: {path}, "
                f"which has {received}. {self.remedy}"
            )
        return {key: value for key, value in values.items() if key not in HEADER}

    def write(self, path: str | os.PathLike, values: Mapping[str, Any]) -> None:
        """Writes a JSON object with the header before its values."""
        files.write_json(path, {**self.header, **values})

    def read(
        self,
        path: str | os.PathLike,
        fields: Mapping[str, type | tuple[type, ...]] | None = None,
    ) -> dict[str, Any]:
        """Reads what `write` wrote.

        Args:
          path: of the file.
          fields: that the object must have, each with its type or types.

        Returns:
          The values without the header.

        Raises:
          UserError: the file is missing, is not JSON, is of another format or version, or lacks a field.
        """
        values = self.check(files.read_json(path), path)
        with files.damage_reported(path):
            for name, kind in (fields or {}).items():
                if not isinstance(values[name], kind):
                    raise TypeError(f"{name!r} is {values[name]!r}")
        return values


_PREPARE = "Prepare the data anew in another PrepareSpec.output."
_TRAIN = "Train anew in another TrainSpec.model_dir."
_EXPORT = "Export again."

SHARDS = Format("official_vision.shards", 6, _PREPARE)  # index.json
SHARD_REPORT = Format("official_vision.shard_report", 1, _PREPARE)  # beside each shard
PREPARATION = Format("official_vision.preparation", 2, _PREPARE)  # plan.json
RUN = Format("official_vision.run", 1, _TRAIN)  # config.json
RUN_DATA = Format("official_vision.run_data", 1, _TRAIN)  # data.json
HELD_OUT_CLIPS = Format(  # held_out_clips/source.json
    "official_vision.held_out_clips",
    1,
    "Run official-vision train on the run's folder again, where its data are.",
)
CHANGES = Format("official_vision.changes", 1, _TRAIN)  # changes.json
SKIPPED_BATCHES = Format("official_vision.skipped_batches", 1, _TRAIN)  # skipped.json
EVALUATED = Format("official_vision.evaluated", 1, _TRAIN)  # evaluated.json
BEST_CHECKPOINT = Format("official_vision.best_checkpoint", 1, _TRAIN)  # best/info.json
BEST_EVALUATION = Format("official_vision.best_evaluation", 1, _TRAIN)  # best_evaluation.json
LOGGERS = Format(
    "official_vision.loggers", 1, "Delete it: loggers then begin another run."
)  # loggers.json
RESULT = Format("official_vision.result", 2, _TRAIN)  # result.json
LATENCIES = Format(  # connection_latency.json
    "official_vision.latencies", 1, "Delete the file to measure again."
)
SCORES = Format("official_vision.scores", 2, "Evaluate again.")  # official-vision evaluate --dump
SEARCH = Format("official_vision.search", 1, "Search anew in another SearchSpec.output.")
EVOLUTION = Format(  # evolution.json
    "official_vision.evolution", 1, "Search anew in another SearchSpec.output."
)
EXPORTED_MODEL = Format("official_vision.exported_model", 2, _EXPORT)  # assets/model.json
PARITY = Format("official_vision.parity", 1, _EXPORT)  # parity.json
STABLEHLO = Format("official_vision.stablehlo", 1, _EXPORT)  # model.stablehlo.json
PROGRAM = Format(  # a program's signature beside its StableHLO
    "official_vision.program", 1, "Write it again: official-vision benchmark --what=program."
)
PREDICTION = Format("official_vision.prediction", 1, "Predict again.")  # official-vision predict
LIVE_SCORES = Format(  # first line of official-vision predict --json of a live video
    "official_vision.live_scores", 1, "Predict again."
)
FEATURES = Format("official_vision.features", 1, "Extract again.")  # official-vision features
ARCHITECTURE = Format(
    "official_vision.architecture", 2, "Write it with official-vision inspect --save."
)
