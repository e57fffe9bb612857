"""A run's checkpoints: whole or absent, the newest that can be read, and a full disk as one line."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.files import full_disk_reason, write_text

# What TensorFlow raises for damaged checkpoints; a cut-off data file is an IndexError.
READ_ERRORS = (ValueError, RuntimeError, IndexError, tf.errors.OpError)
_NAME = re.compile(r"(.*)-(\d+)\.index")


def flaw_in(checkpoint: str) -> str:
    """Reads a checkpoint from end to end, checksums included.

    Args:
      checkpoint: a path prefix.

    Returns:
      What is wrong with it, in a few words; empty when it is whole.
    """
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except READ_ERRORS as error:
        return str(error).splitlines()[0] or type(error).__name__
    return ""


def newest_whole(
    folder: str | os.PathLike, note: Callable[[str], None] | None = None
) -> str | None:
    """Finds the checkpoint to go on from.

    Damaged ones are passed over, also one whose neighbour TensorFlow's list has lost. The first one of a run that was
    killed while it was written counts as none: nothing is lost that could be gone on from.

    Args:
      folder: of the checkpoints.
      note: is called with each damaged checkpoint, if set.

    Returns:
      The path prefix of the newest checkpoint that can be read from end to end, None where the
      folder has no checkpoint.

    Raises:
      UserError: there are checkpoints, and all are damaged.
    """
    candidates = _checkpoints(Path(folder))
    flaws = []
    for checkpoint in reversed(candidates):
        flaw = flaw_in(checkpoint)
        if not flaw:
            for line in flaws if note else ():
                note(f"{line}; going on from {checkpoint}")
            return checkpoint
        flaws.append(f"checkpoint {checkpoint} is damaged ({flaw})")
    if flaws and not _is_unfinished(candidates):
        raise UserError(
            f"A run goes on from a whole checkpoint. Received: {folder}, in which {'; '.join(flaws)}. "
            "Copy one back, or choose another TrainSpec.model_dir to start afresh."
        )
    return None


def _is_unfinished(checkpoints: list[str]) -> bool:
    """Returns whether the only checkpoint is one that TensorFlow was writing: unlisted, without a readable index."""
    if len(checkpoints) != 1 or Path(checkpoints[0]).with_name("checkpoint").exists():
        return False
    try:
        tf.train.load_checkpoint(checkpoints[0])
    except READ_ERRORS:
        return True
    return False


def _checkpoints(folder: Path) -> list[str]:
    """Returns path prefixes by rising number, read from the files, not from TensorFlow's list of them."""
    matches = [_NAME.fullmatch(path.name) for path in folder.glob("ckpt-*.index")]
    numbers = sorted((int(match[2]), match[1]) for match in matches if match)
    return [str(folder / f"{name}-{number}") for number, name in numbers]


def forget_damaged(folder: str | os.PathLike, newest: str | None) -> None:
    """Makes TensorFlow's list of checkpoints end at `newest`, so that a later run reads it too.

    What a killed run left of a checkpoint that it was writing is removed.

    Args:
      folder: of the checkpoints.
      newest: the last one that is whole, as returned by `newest_whole`.
    """
    for unfinished in Path(folder).glob("*_temp"):
        shutil.rmtree(unfinished, ignore_errors=True)
    if newest is None:
        return
    checkpoints = _checkpoints(Path(folder))
    whole = checkpoints[: checkpoints.index(newest) + 1]
    state = tf.train.get_checkpoint_state(str(folder))
    if state and state.model_checkpoint_path == newest:
        return
    listed = tf.compat.v1.train.generate_checkpoint_state_proto(
        str(folder),
        Path(newest).name,
        all_model_checkpoint_paths=[Path(path).name for path in whole],
        all_model_checkpoint_timestamps=[Path(f"{path}.index").stat().st_mtime for path in whole],
        last_preserved_timestamp=0.0,
    )
    write_text(Path(folder) / "checkpoint", str(listed))


def rewrite(checkpoint: str, changed: Mapping[str, np.ndarray]) -> None:
    """Replaces some tensors of a checkpoint; a reader sees the old one or the new one whole.

    Args:
      checkpoint: its path prefix.
      changed: values by key, of the shapes and dtypes that they have there; keys that it lacks are left out.
    """
    path = Path(checkpoint)
    reader = tf.train.load_checkpoint(checkpoint)
    names = sorted(reader.get_variable_to_shape_map())
    old = list(path.parent.glob(f"{path.name}.data-*"))
    # In another number of files, so that their names are others: only the index takes the place of one.
    count = 1 if len(old) > 1 else 2
    with tempfile.TemporaryDirectory(dir=path.parent, suffix="_temp") as folder:
        parts = [f"{folder}/part-{number}" for number in range(count)]
        for number, part in enumerate(parts):
            part_names = names[number::count]
            values = [changed.get(name, reader.get_tensor(name)) for name in part_names]
            tf.raw_ops.SaveV2(
                prefix=part,
                tensor_names=part_names,
                shape_and_slices=[""] * len(part_names),
                tensors=[tf.constant(value) for value in values],
            )
        merged = Path(folder) / path.name
        tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=parts, destination_prefix=str(merged), delete_old_dirs=False
        )
        for file in merged.parent.glob(f"{path.name}.data-*"):
            file.replace(path.parent / file.name)
        Path(f"{merged}.index").replace(f"{path}.index")
    for file in old:
        file.unlink()


@contextlib.contextmanager
def full_disk_named(folder: str | os.PathLike) -> Iterator[None]:
    """Wraps the writing of a run's files, so that a full disk becomes one line.

    Args:
      folder: of the run; its newest checkpoint is named.

    Raises:
      UserError: there was no space left, or the quota or the largest size of a file was reached.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = full_disk_reason(error)
        if not reason:
            raise
        last = _last_whole(Path(folder))
        raise UserError(
            f"A run needs space for its checkpoints and records. Received: {folder} ({reason}); {last}. "
            "Free space, or lower TrainSpec.checkpoints_kept, then run the same command to go on."
        ) from error


def _last_whole(folder: Path) -> str:
    try:
        newest = newest_whole(folder)
    except UserError:
        newest = None
    return f"the last whole checkpoint is {newest}" if newest else "no checkpoint is whole yet"
