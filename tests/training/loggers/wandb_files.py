"""Reads files that wandb writes offline, in the form of its messages."""

from __future__ import annotations

import dataclasses
import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK, _HEADER, _FILE_HEADER = 32768, 7, 7


def records_of(path: Path) -> Iterator[Any]:
    """Yields the messages of a .wandb file: LevelDB's log of records, in blocks of 32 KiB."""
    from wandb.proto import wandb_internal_pb2

    data, place, whole = path.read_bytes(), _FILE_HEADER, b""
    assert data[:4] == b":W&B"
    while place + _HEADER <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + _HEADER])
        if place + _HEADER + length > len(data):  # wandb's process is still writing it
            return
        whole += data[place + _HEADER : place + _HEADER + length]
        place += _HEADER + length
        if kind in (1, 4):  # a record in one piece, or its last
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


@dataclasses.dataclass
class Logged:
    """What one process logged: the run's id, its configuration, figures by step, and its exit code."""

    name: str = ""
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    steps: dict[int, dict[str, float]] = dataclasses.field(default_factory=dict)
    exit_code: int | None = None

    def add(self, record: Any) -> None:
        kind = record.WhichOneof("record_type")
        if kind == "run":
            self.name = record.run.run_id
            self.config |= _updates(record.run.config)
        elif kind == "config":
            self.config |= _updates(record.config)
        elif kind == "exit":
            self.exit_code = record.exit.exit_code
        elif kind == "history":
            items = {"/".join(i.nested_key) or i.key: i.value_json for i in record.history.item}
            row = self.steps.setdefault(int(items["_step"]), {})
            row |= {name: json.loads(value) for name, value in items.items() if name[0] != "_"}


def runs_in(folder: Path, count: int) -> list[Logged]:
    """Returns what each of `count` processes logged, in their order, once wandb's process has written it all."""
    deadline = time.monotonic() + 60
    while True:
        paths = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))
        runs = []
        for path in paths:
            runs.append(Logged())
            for record in records_of(path):
                runs[-1].add(record)
        if len(runs) == count and all(run.exit_code is not None for run in runs):
            return runs
        assert time.monotonic() < deadline, runs
        time.sleep(0.1)


def _updates(config: Any) -> dict[str, Any]:
    return {item.key or item.nested_key[0]: json.loads(item.value_json) for item in config.update}
