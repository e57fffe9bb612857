"""Damaged segments: named where they end a run, counted where they are passed over.

A clip of which a segment can't be read, or a frame can't be decoded, becomes a masked row of its batch. So
order, steps and the number of batches stay what they would have been.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from official_vision.data.storage.index import INDEX_FILE, Index
from official_vision.data.storage.segments import Segments, is_cut_short, read_records, segments_of
from official_vision.data.storage.shard import decode_frame, parse
from official_vision.errors import UserError

_MARK = "damaged segment of"


class Skipped:
    """The videos of one split of which clips were passed over; training can meet a video many times."""

    def __init__(self, folder: str | os.PathLike, index: Index):
        """Args:
        folder: of the split.
        index: of the split.
        """
        self.positions: set[int] = set()
        self._folder = folder
        self._index = index
        self._reported: set[int] = set()

    def note(self, positions: Iterable[int]) -> None:
        """Remembers videos by their positions."""
        self.positions.update(map(int, positions))

    def news(self) -> list[str]:
        """Returns a line for each video since the last call, with the reason, then one with the count."""
        fresh = sorted(self.positions - self._reported)
        if not fresh:
            return []
        self._reported |= set(fresh)
        segments = segments_of(self._folder, self._index)
        lines = [f"skipped {diagnose(segments, self._index, position)}" for position in fresh]
        count = f"{len(self._reported)} of {self._index.num_videos} videos"
        return [*lines, f"skipped clips of {count} of {self._folder} so far"]


def or_blank(make: Callable[[], Any]) -> Any:
    """Returns what `make` returns, in a graph; zeros in its shapes (0 for open sizes) where it fails."""
    # A dataset whose source fails would fail again and again; a map's element fails once.
    made = tf.data.Dataset.from_tensors(0).map(lambda _: make())
    blank = tf.nest.map_structure(
        lambda spec: tf.zeros([size or 0 for size in spec.shape], spec.dtype), made.element_spec
    )
    blanks = tf.data.Dataset.from_tensors(blank)
    return made.ignore_errors().concatenate(blanks).take(1).get_single_element()


def rows_or_blank(make: Callable[..., Any], count: int, *columns: tf.Tensor) -> Any:
    """Returns what `make` returns for each row of the columns, stacked, in a graph; zeros in rows where it fails.

    Rows are made side by side, and one guard serves all: each sets up its function anew, a fifteenth of
    the time that a clip takes.

    Args:
      make: of a row's values; its results have static shapes.
      count: rows.
      columns: tensors [count, ...].
    """
    rows = tf.data.Dataset.from_tensor_slices((tf.range(count), *columns))
    made = rows.map(
        lambda number, *row: (number, make(*row)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    whole = made.ignore_errors().batch(count)
    none = tf.nest.map_structure(
        lambda spec: tf.zeros([0, *spec.shape[1:]], spec.dtype), whole.element_spec
    )
    once = whole.concatenate(tf.data.Dataset.from_tensors(none)).take(1)
    numbers, results = once.get_single_element()

    def spread(values: tf.Tensor) -> tf.Tensor:
        shape = [count, *values.shape[1:]]
        return tf.cond(
            tf.size(numbers) == count,
            lambda: tf.ensure_shape(values, shape),
            lambda: tf.scatter_nd(numbers[:, tf.newaxis], values, shape),
        )

    return tf.nest.map_structure(spread, results)


def report_damage(
    damaged: tf.Tensor, positions: tf.Tensor, folder: str, skipped: Skipped | None
) -> None:
    """Raises or counts damaged clips; called in a graph for all clips that were read.

    Args:
      damaged: bool [clips]; nothing happens to the others.
      positions: of the clips' videos, int64 [clips].
      folder: of the split.
      skipped: notes the videos; None raises what `damage_named` makes a UserError of.
    """
    lost = tf.boolean_mask(positions, damaged)
    if skipped is None:
        # The bare operation: tf.debugging.Assert would wrap it in a condition, and warn.
        tf.raw_ops.Assert(condition=tf.size(lost) == 0, data=[_MARK, folder, lost[:1]])
        return

    def note() -> tf.Tensor:
        tf.numpy_function(skipped.note, [lost], [])
        return lost

    tf.cond(tf.size(lost) > 0, note, lambda: lost)


@contextlib.contextmanager
def damage_named(folder: str | os.PathLike, index: Index) -> Iterator[None]:
    """Wraps the reading of a split, so that an error of `report_damage` becomes a UserError with the reason.

    Args:
      folder: of the split, DataSpec.path.
      index: of the split.

    Raises:
      UserError: a segment can't be read, or one of its frames can't be decoded.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        named = re.search(
            rf"{re.escape(f'[{_MARK}]')} \[{re.escape(str(folder))}\] \[(\d+)\]", str(error)
        )
        if not named:
            raise
        reason = diagnose(segments_of(folder, index), index, int(named[1]))
        raise UserError(
            f"A shard must be as official-vision prepare wrote it. Received: {reason}. "
            "Copy the shard again, delete it and run official-vision prepare, or set DataSpec.damaged = 'skip'."
        ) from error


def diagnose(segments: Segments, index: Index, position: int) -> str:
    """Returns what is wrong with the video at a position, in words: of its first damaged segment."""
    first, about = 0, ""
    for path, offset in segments.places(position):
        about = f"{index.videos[position]!r} at byte {offset} of {path}"
        count = min(segments.segment_frames, int(segments.frames[position]) - first)
        if reason := _damage(path, offset, index.streams, first, count):
            return f"{about}: {reason}"
        first += count
    return f"{about}: its frames are not alike, or not those that {INDEX_FILE} says"


def _damage(path: str, offset: int, streams: Sequence[str], first: int, count: int) -> str:
    """What is wrong with the segment at a byte of a shard that should hold `count` frames from `first` on."""
    if not Path(path).is_file():
        return "no such file"
    if is_cut_short(path, offset):
        return "the file ends before it or in it"
    try:
        (content,) = read_records(tf.constant(path), tf.constant(offset, tf.int64), tf.constant(1))
        record = parse(content, streams)
    except tf.errors.OpError:
        return "its checksum or its content is wrong"
    for stream in streams:
        if len(record[stream]) != count:
            return f"{len(record[stream])} frames of {stream}, {count} in {INDEX_FILE}"
        for number, encoded in enumerate(record[stream], first):
            try:
                decode_frame(encoded, stream, record["flow_bound"])
            except tf.errors.OpError:
                return f"frame {number} of {stream} cannot be decoded"
    return ""
