"""A folder of programs: of each its StableHLO, its signature as JSON, and of a small one values to check it with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision import files, formats
from official_vision.benchmark.network_speed import TRAIN, data_of, work_of
from official_vision.benchmark.program.passes import Check, forward_program, training_program
from official_vision.config import Config
from official_vision.errors import UserError
from official_vision.serving.export.converters.program import Program, Value

# Greatest difference from the expected result, as a share of it.
_TOLERANCES = {"float32": 1e-3, "tf32": 2e-2, "bfloat16": 5e-2}
_FEW = 16  # different values that are listed one by one
_LISTED = 4096  # values of a constant that are listed; variables are drawn anew
_COUNTED = 1 << 16  # values among which different ones are counted


def write_programs(
    config: Config,
    name: str,
    folder: Path,
    passes: Sequence[str],
    precisions: Sequence[str],
    batch_sizes: Sequence[int],
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Writes a program for each pass, batch size and precision.

    Args:
      config: every setting.
      name: of the network, with which names of programs begin.
      folder: that does not exist yet.
      passes: train, forward or both.
      precisions: of passes.PRECISIONS.
      batch_sizes: clips per step; empty takes DataSpec's.
      note: shows the user a line.

    Returns:
      JSON values: programs, each of name, file, bytes, gflop and whether it is checked.

    Raises:
      UserError: the folder exists.
    """
    if folder.exists():
        raise UserError(
            f"--output names a folder to come. Received: {str(folder)!r}, which exists. Name another."
        )
    rows = []
    with files.folder_written_aside(folder) as partial:
        for what in passes:
            for batch_size in batch_sizes or [data_of(config, what).batch_size]:
                sized = _with_batch(config, batch_size)
                for precision in precisions:
                    row = _write(sized, name, partial, what, precision)
                    note(f"{row['name']}: {row['bytes'] / 1e6:.1f} MB")
                    rows.append(row)
    return {"programs": rows}


def programs_text(result: Mapping[str, Any], folder: Path) -> str:
    """Returns what was written as a table for the screen."""
    width = max(len(row["name"]) for row in result["programs"])
    lines = [f"{'program':<{width}} {'inputs':>6} {'MB':>6} {'GFLOP':>9} checked"]
    lines += [
        f"{row['name']:<{width}} {row['inputs']:6} {row['bytes'] / 1e6:6.1f} {row['gflop']:9.1f} "
        f"{'yes' if row['is_checked'] else 'no'}"
        for row in result["programs"]
    ]
    return "\n".join([*lines, f"{folder}: run it with tools/run_program.py"])


def _with_batch(config: Config, batch_size: int) -> Config:
    train, validation = (
        dataclasses.replace(data, batch_size=batch_size)
        for data in (config.train_data, config.validation_data)
    )
    return dataclasses.replace(config, train_data=train, validation_data=validation)


def _write(config: Config, network: str, folder: Path, what: str, precision: str) -> dict[str, Any]:
    data = data_of(config, what)
    name = f"{network}_{what}_{precision}_{data.batch_size}"
    program, check = (training_program if what == TRAIN else forward_program)(config, precision)
    path = folder / f"{name}.stablehlo"
    path.write_bytes(program.artifact)
    clips, flops = work_of(config, what)
    values = {
        "name": name,
        "network": network,
        "pass": what,
        "precision": precision,
        "clips": clips,
        "frames": data.frames,
        "size": data.size,
        "flops": flops,
        "tensorflow": tf.__version__,
        "file": path.name,
        "sha256": files.sha256(path),
        "inputs": [_input(value, array) for value, array in _inputs(program)],
        "results": [dataclasses.asdict(value) for value in program.results],
    }
    if check:
        values["check"] = _check(program, check, precision, folder / f"{name}.npz")
    # On one line: indented, 1500 inputs would be twice as large as their program.
    files.write_text(folder / f"{name}.json", json.dumps({**formats.PROGRAM.header, **values}))
    return {
        "name": name,
        "file": path.name,
        "inputs": len(program.inputs),
        "bytes": sum(file.stat().st_size for file in folder.glob(f"{name}.*")),
        "gflop": flops / 1e9,
        "is_checked": check is not None,
    }


def _inputs(program: Program) -> list[tuple[Value, np.ndarray]]:
    return list(zip(program.inputs, program.initial, strict=True))


def _input(value: Value, array: np.ndarray) -> dict[str, Any]:
    described = dataclasses.asdict(value)
    del described["feeds"]
    return {**described, "initial": _distribution(value, array)}


def _distribution(value: Value, array: np.ndarray) -> dict[str, Any]:
    """Describes values, so that others like them can be drawn: constant, values, choice, integers or normal."""
    wide = array if array.dtype.kind in "biu" else array.astype(np.float32)
    low, high = wide.min().item(), wide.max().item()
    if low == high:
        return {"kind": "constant", "value": low}
    if value.role == "constant" and array.size <= _LISTED:  # exact, whatever it is
        return {"kind": "values", "values": wide.tolist()}
    different, counts = np.unique(wide.ravel()[:_COUNTED], return_counts=True)
    if len(different) <= _FEW:
        shares = (counts / counts.sum()).tolist()
        return {"kind": "choice", "values": different.tolist(), "shares": shares}
    if array.dtype.kind in "biu":
        return {"kind": "integers", "low": low, "high": high}
    return {"kind": "normal", "mean": wide.mean().item(), "deviation": wide.std().item()}


def _check(program: Program, check: Check, precision: str, path: Path) -> dict[str, Any]:
    """Writes the values of a check; returns its part of the signature."""
    seeds = [number for number, value in enumerate(program.inputs) if value.role == "seed"]
    arrays = {
        f"input_{number}": _without_bfloat16(array)
        for number, array in enumerate(program.initial)
        if number not in seeds
    }
    if check.seeds is not None:  # of bilevel updates both batches have the same
        arrays |= {f"input_{number}": check.seeds for number in seeds}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return {
        "file": path.name,
        "sha256": files.sha256(path),
        "steps": len(check.expected),
        "expected": check.expected.tolist(),
        "tolerance": _TOLERANCES[precision],
    }


def _without_bfloat16(array: np.ndarray) -> np.ndarray:
    """Returns bfloat16 as its bits, uint16, since npz has no such type; others as they are."""
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array
