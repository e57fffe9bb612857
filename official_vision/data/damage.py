"""Naming the shard that is damaged, where TensorFlow says only that some record is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from official_vision import files
from official_vision.data.index import Index
from official_vision.errors import UserError


@contextlib.contextmanager
def damage_named(folder: str | os.PathLike, index: Index) -> Iterator[None]:
    """Wraps the reading of a split's shards: a damaged or lost one becomes a UserError with its path.

    Only then are the shards compared with their checksums; so nothing is slower before.

    Args:
      folder: of the split, DataSpec.path.
      index: of the split.

    Raises:
      UserError: a record's checksum did not match, or a shard could not be read.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        damaged = damaged_shards(folder, index)
        if not damaged:
            raise
        raise UserError(
            "A shard must be as tools/prepare_data.py wrote it. "
            f"Received: {', '.join(damaged)}, whose content has changed since. "
            "Copy it again, or delete it and run tools/prepare_data.py."
        ) from error


def damaged_shards(folder: str | os.PathLike, index: Index) -> list[str]:
    """Returns the paths of the shards that are missing or differ from their checksum; reads them all."""
    paths = [(Path(folder) / shard.file, shard.sha256) for shard in index.shards]
    return [
        str(path)
        for path, checksum in paths
        if not path.is_file() or files.sha256(path) != checksum
    ]
