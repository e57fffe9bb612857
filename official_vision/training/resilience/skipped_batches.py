"""Batches that a run skips after they broke it, so that it can go back and continue."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from official_vision import files, formats

SKIPPED_FILE = "skipped.json"
_BATCHES = "batches"


@dataclasses.dataclass(frozen=True)
class SkippedBatch:
    """A batch that training passes over.

    Attributes:
      batch: its number in the order of the data, from 0.
      step: at which it broke the run, from 1.
      cause: what was not finite.
      videos: ids of its videos.
    """

    batch: int
    step: int
    cause: str
    videos: tuple[str, ...]


def read_skipped(model_dir: Path) -> list[SkippedBatch]:
    """Reads the batches that a run skips, in the order in which they broke it."""
    path = model_dir / SKIPPED_FILE
    if not path.is_file():
        return []
    rows = formats.SKIPPED_BATCHES.read(path, {_BATCHES: list})[_BATCHES]
    with files.damage_reported(path):
        return [SkippedBatch(**{**row, "videos": tuple(row["videos"])}) for row in rows]


def write_skipped(model_dir: Path, skipped: Sequence[SkippedBatch]) -> None:
    """Writes skipped.json."""
    rows = [dataclasses.asdict(row) for row in skipped]
    formats.SKIPPED_BATCHES.write(model_dir / SKIPPED_FILE, {_BATCHES: rows})


def batch_after(steps: int, skipped: Sequence[SkippedBatch]) -> int:
    """Returns the number of the batch that comes next when `steps` steps have been trained."""
    batch = steps
    for number in sorted({row.batch for row in skipped}):
        batch += number <= batch
    return batch


def without_skipped(
    batches: tf.data.Dataset, first: int, skipped: Sequence[SkippedBatch]
) -> tf.data.Dataset:
    """Skips those of `batches`, whose first one has the number `first`."""
    numbers = sorted({row.batch for row in skipped if row.batch >= first})
    if not numbers:
        return batches
    # Decoded before they are dropped: a batch's number is known only once it is whole.
    numbered = batches.enumerate(first)
    left_out = tf.constant(numbers, tf.int64)
    return numbered.filter(lambda number, _: tf.reduce_all(number != left_out)).map(
        lambda _, batch: batch, num_parallel_calls=1, deterministic=True
    )
