"""A lock that admits one process at a time to a folder, and ends with its holder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from official_vision.errors import UserError

LOCK_FILE = ".lock"
_LOCKED = (errno.EAGAIN, errno.EACCES)
# File systems without locks; there a holder can't be recognised.
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def folder_locked(folder: str | os.PathLike, setting: str, work: str) -> Iterator[None]:
    """Holds the lock of a folder, which is made where it isn't there, within the block.

    The kernel releases the lock when the process ends, however it does; the file of one that was killed stays,
    and has no effect.

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
        file = _opened(path, setting, work)
    except OSError as error:
        raise UserError(
            f"{setting} must be a folder that can be written. Received: {folder} ({error.strerror}). "
            "Name another, or change its permissions."
        ) from error
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _opened(path: Path, setting: str, work: str) -> TextIO:
    """Opens and locks the lock's file, with its holder's name in it."""
    while True:
        file = open(path, "a+", encoding="utf-8", errors="replace")  # noqa: SIM115 - the caller closes it
        try:
            _take(file, path.parent, setting, work)
            # The previous holder may have removed it meanwhile: then a newer file is the lock.
            if _is_at(path, file):
                file.truncate(0)
                file.write(f"process {os.getpid()} on {os.uname().nodename} ({work})\n")
                file.flush()
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _is_at(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _take(file: TextIO, folder: Path, setting: str, work: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return
        if error.errno not in _LOCKED:
            raise
        file.seek(0)
        holder = file.readline().strip() or "another process"
        raise UserError(
            f"One process at a time may use a folder for {work}. Received: {folder}, in use by {holder}. "
            f"Wait for its end, or choose another {setting}."
        ) from error
