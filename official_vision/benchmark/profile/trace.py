"""Traces of TensorFlow's profiler: which kernels ran, and for how long."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from official_vision.errors import UserError

XLA = "XLA"
_HOST = "/host:CPU"
_PICOSECOND = 1e-12


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One run of one operation.

    Attributes:
      path: the operation's name in its graph, with the layers that it is in.
      operation: its type, e.g. _FusedConv2D; XLA for what XLA compiled, whose path is the function's name.
      seconds: without those of kernels that it called on its thread.
    """

    path: str
    operation: str
    seconds: float


def traced(run: Callable[[], Any], calls: int, folder: str | os.PathLike) -> list[Kernel]:
    """Runs something under the profiler, and leaves the trace for TensorBoard.

    Args:
      run: has run before, so that nothing is traced or compiled now.
      calls: how often it runs.
      folder: where TensorBoard finds the trace (`tensorboard --logdir`), with the profile plugin.

    Raises:
      UserError: the folder can't be written.
    """
    folder = Path(folder)
    before = _planes_in(folder)
    tf.profiler.experimental.start(str(folder))
    try:
        for _ in range(calls):
            run()
    finally:
        tf.profiler.experimental.stop()
    # The profiler names traces after the second: one may replace another.
    written = sorted(_planes_in(folder) - before)
    if not written:
        raise UserError(
            f"The profiler must be able to write. Received: {folder}, where no trace appeared. "
            "Name a folder with free space."
        )
    _, newest = written[-1]
    return list(kernels_of(xplane_pb2.XSpace.FromString(newest.read_bytes())))


def _planes_in(folder: Path) -> set[tuple[int, Path]]:
    """Returns traces with the time at which each was written."""
    return {(path.stat().st_mtime_ns, path) for path in folder.rglob("*.xplane.pb")}


def kernels_of(space: Any) -> Iterator[Kernel]:
    """Yields the kernels that ran on the CPU.

    Args:
      space: an XSpace message, as the profiler writes it.
    """
    for plane in space.planes:
        if plane.name != _HOST:
            continue
        for line in plane.lines:  # one per thread
            yield from _with_self_seconds(_events(plane, line))


def _events(plane: Any, line: Any) -> Iterator[tuple[int, int, str, str]]:
    """Yields the begin, end (picoseconds), path and operation of each kernel."""
    for event in line.events:
        kind = plane.event_metadata[event.metadata_id]
        path, _, operation = kind.name.rpartition(":")
        if not path or kind.display_name != operation:  # no kernel of TensorFlow's
            path, operation = _xla_module(plane, event), XLA
        if path:
            yield event.offset_ps, event.offset_ps + event.duration_ps, path, operation


def _xla_module(plane: Any, event: Any) -> str:
    """Returns the module, named after its function, of what XLA compiled; empty for any other event."""
    for stat in event.stats:
        if plane.stat_metadata[stat.metadata_id].name == "hlo_module":
            return stat.str_value or plane.stat_metadata[stat.ref_value].name
    return ""


def _with_self_seconds(events: Iterable[tuple[int, int, str, str]]) -> Iterator[Kernel]:
    """Subtracts from each kernel the time of those that ran within it."""
    around: list[list[Any]] = []  # kernels that have begun: end, picoseconds, path, operation
    for begin, end, path, operation in sorted(events, key=lambda event: (event[0], -event[1])):
        while around and around[-1][0] <= begin:
            yield _finished(around.pop())
        if around:
            around[-1][1] -= end - begin
        around.append([end, end - begin, path, operation])
    while around:
        yield _finished(around.pop())


def _finished(event: list[Any]) -> Kernel:
    _, picoseconds, path, operation = event
    return Kernel(path, operation, picoseconds * _PICOSECOND)
