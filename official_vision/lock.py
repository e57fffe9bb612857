"""One process at a time in a folder: a lock that ends with its holder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from official_vision.errors import UserError

LOCK_FILE = ".lock"  # stays when the lock is released: to remove it would let two processes in
_HELD = (errno.EAGAIN, errno.EACCES)
# File systems without locks; there nothing can be told apart.
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def folder_locked(folder: str | os.PathLike, setting: str, work: str) -> Iterator[None]:
    """Holds the lock of a folder, which is made where it isn't there, within the block.

    The kernel releases the lock when the process ends, however it does.

    Args:
      folder: that one process may write to.
      setting: that names it, for errors, e.g. TrainSpec.model_dir.
      work: what is done there, e.g. training.

    Raises:
      UserError: another process holds the lock, or the folder can't be written.
    """
    path = Path(folder) / LOCK_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="ascii", errors="replace")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UserError(
            f"{setting} must be a folder that can be written. Received: {folder} ({error.strerror}). "
            "Name another, or change its permissions."
        ) from error
    with file:
        _take(file, f"{folder}", setting, work)
        file.truncate(0)
        file.write(f"{work} {os.getpid()} on {os.uname().nodename}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _take(file: TextIO, folder: str, setting: str, work: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return
        if error.errno not in _HELD:
            raise
        file.seek(0)
        words = file.readline().split(maxsplit=1)
        holder = (
            f"{words[0]} (process {words[1].strip()})" if len(words) == 2 else "another process"
        )
        raise UserError(
            f"One process at a time may use a folder for {work}. Received: {folder}, which {holder} is using. "
            f"Wait for its end, or choose another {setting}."
        ) from error
