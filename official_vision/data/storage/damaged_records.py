"""Damaged records: named where they end a run, counted where they are passed over.

A record that can't be read, or whose clip can't be decoded, becomes a masked row of its batch. So
order, steps and the number of batches stay what they would have been.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from official_vision.data.storage.frame_table import FrameTable, frame_table
from official_vision.data.storage.index import Index
from official_vision.data.storage.records import is_cut_short
from official_vision.data.storage.shard import decode_frame, parse
from official_vision.errors import UserError

_MARK = "damaged record of"


class Skipped:
    """The records of one split that were passed over; training can meet a record many times."""

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
        """Remembers records by their positions."""
        self.positions.update(map(int, positions))

    def news(self) -> list[str]:
        """Returns a line for each record since the last call, with the reason, then one with the count."""
        fresh = sorted(self.positions - self._reported)
        if not fresh:
            return []
        self._reported |= set(fresh)
        table = frame_table(self._folder, self._index, self._index.streams)
        lines = [
            f"skipped {_described(table, self._index, position, diagnose(table, self._index, position))}"
            for position in fresh
        ]
        count = f"{len(self._reported)} of {self._index.num_videos} records"
        return [*lines, f"skipped {count} of {self._folder} so far"]


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
    """Raises or counts damaged records; called in a graph for all records that were read.

    Args:
      damaged: bool [records]; nothing happens to the others.
      positions: of the records, int64 [records].
      folder: of the split.
      skipped: notes the records; None raises what `damage_named` makes a UserError of.
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
      UserError: a record can't be read, or one of its frames can't be decoded.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        match = re.search(
            rf"{re.escape(f'[{_MARK}]')} \[{re.escape(str(folder))}\] \[(\d+)\]", str(error)
        )
        if not match:
            raise
        table, position = frame_table(folder, index, index.streams), int(match[1])
        reason = diagnose(table, index, position)
        raise UserError(
            "A record must be as tools/prepare_data.py wrote it. "
            f"Received: {_described(table, index, position, reason)}. "
            "Copy the shard again, delete it and run tools/prepare_data.py, or set DataSpec.damaged = 'skip'."
        ) from error


def diagnose(table: FrameTable, index: Index, position: int) -> str:
    """Describes what is wrong with a record."""
    path, offset = table.shards.place(position)
    table_path, _ = table.tables.place(position)
    if not Path(path).is_file():
        return "no such file"
    if is_cut_short(path, offset):
        return "the file ends before it or in it"
    try:
        head = table.head(tf.constant(position))
    except tf.errors.OpError:
        return f"its entry in {table_path} cannot be read"
    try:
        record = parse(table.shards.read(tf.constant(position)), index.streams)
    except tf.errors.OpError:
        return "its checksum or its content is wrong"
    for stream in index.streams:
        for number, encoded in enumerate(record[stream]):
            try:
                decode_frame(encoded, stream, record["flow_bound"])
            except tf.errors.OpError:
                return f"frame {number} of {stream} cannot be decoded"
    try:
        table.window(head, tf.constant(0), len(record[index.streams[0]]))
    except tf.errors.OpError:
        return f"its entry in {table_path} is of other frames"
    return "its frames are not alike"


def _described(table: FrameTable, index: Index, position: int, reason: str) -> str:
    path, offset = table.shards.place(position)
    return f"{index.videos[position]!r} at byte {offset} of {path}: {reason}"
