"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from official_vision import interruption
from official_vision.errors import UserError

PARTIAL = ".partial-"  # what names begin with until they are whole
# Errors of operations that failed because a disk, its quota or the limit of a file's size is full.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` when the block succeeds.

    The temporary file keeps the suffix, because image writers choose their format by it. It is
    removed when the block fails, whatever the reason (Ctrl-C included).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=PARTIAL, suffix=path.suffix)
    os.close(handle)
    partial = Path(name)
    # mkstemp makes private files; results should be as readable as any file the user makes.
    partial.chmod(0o666 & ~_umask())
    try:
        yield partial
        interruption.check()
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_written_aside(path: str | os.PathLike, *, replace: bool = False) -> Iterator[Path]:
    """Yields a temporary folder as `written_aside` does, for a folder that does not exist yet.

    Args:
      path: of the folder.
      replace: whether a folder that is there makes room; if the process is killed just then, neither is left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=PARTIAL))
    partial.chmod(0o777 & ~_umask())
    try:
        yield partial
        interruption.check()
        if replace and os.path.lexists(path):
            with scratch_folder(path.parent) as old:
                os.replace(path, old / path.name)
                os.replace(partial, path)
        else:
            os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def scratch_folder(parent: str | os.PathLike) -> Iterator[Path]:
    """Yields an empty folder in `parent`, on its disk, which is removed after the block."""
    with tempfile.TemporaryDirectory(
        dir=parent, prefix=PARTIAL, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def remove_leftovers(folder: str | os.PathLike, suffix: str = "") -> None:
    """Removes from a folder what killed processes left of the functions above.

    Args:
      folder: that no other process writes to.
      suffix: of files alone that are to go: other processes may write files of other suffixes; empty for all.
    """
    for leftover in Path(folder).glob(f"{PARTIAL}*{suffix}"):
        if leftover.is_dir():  # in which a child may write that outlives its parent by a second
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink()


def is_disk_full(error: BaseException) -> bool:
    """Returns whether an operation failed because a disk, its quota or a limit of file sizes is full."""
    return isinstance(error, OSError) and error.errno in DISK_FULL


def full_disk_reason(error: BaseException) -> str:
    """Returns the system's words for a full disk where that is why an operation failed, else an empty text.

    TensorFlow has other error classes, which repeat the words.
    """
    if isinstance(error, OSError):
        return os.strerror(error.errno) if is_disk_full(error) else ""
    return next((words for code in DISK_FULL if (words := os.strerror(code)) in str(error)), "")


@contextlib.contextmanager
def full_disk_reported(flag: str, place: str | os.PathLike) -> Iterator[None]:
    """Turns a full disk in the block into one line.

    Args:
      flag: or setting that named the place.
      place: file or folder that is written.

    Raises:
      UserError: there was no space left, or the quota or the largest size of a file was reached.
    """
    try:
        yield
    except Exception as error:
        reason = full_disk_reason(error)
        if not reason:
            raise
        raise UserError(
            f"The disk of {flag} must have room for what is written. Received: {place} ({reason}). "
            "Free space or name another place, then run the same command again."
        ) from error


def check_writable(path: str | os.PathLike, flag: str) -> None:
    """Refuses a file that could not be written, before the work whose result it will contain.

    Args:
      path: of a file that may exist; missing folders are made.
      flag: that named it, for the error.

    Raises:
      UserError: its folder cannot be made or written, its name is too long, or the path is a folder.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent), contextlib.suppress(FileNotFoundError):
            path.lstat()
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{flag} must name a file that can be written. Received: {str(path)!r} ({reason}). Name another."
        ) from error


def check_folder_writable(path: str | os.PathLike, flag: str) -> None:
    """Refuses, as `check_writable`, a folder for files. Nothing is made: of a folder to come, the next one above
    is tried.

    Raises:
      UserError: files can't be written there, or the path is a file.
    """
    path = existing = Path(path)
    try:
        while not os.path.lexists(existing) and existing != existing.parent:
            existing = existing.parent
        with tempfile.TemporaryFile(dir=existing), contextlib.suppress(FileNotFoundError):
            path.lstat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{flag} must name a folder that can be written. Received: {str(path)!r} ({reason}). Name another."
        ) from error


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text` as UTF-8; bytes of a path that are not UTF-8 become escapes, which JSON reads back."""
    with written_aside(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes `value` as indented JSON with a newline at its end."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file.

    Raises:
      UserError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"The file cannot be read. Received: {path} ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"The file must be JSON. Received: {path} ({error}).") from error


@contextlib.contextmanager
def damage_reported(path: str | os.PathLike) -> Iterator[None]:
    """Turns errors in the block into one line: the file's content has another form.

    Args:
      path: of the file, which this program wrote and the block takes apart.

    Raises:
      UserError: something of the content is missing or has another type.
    """
    try:
        yield
    except UserError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"A file must have the form in which it was written. Received: {path} ({reason}). "
            "Restore it from a copy, or delete it."
        ) from error


def sha256(path: str | os.PathLike) -> str:
    """Returns the hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def size_bytes(path: str | os.PathLike) -> int:
    """Returns the size of a file, or of all files below a folder."""
    path = Path(path)
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def sha256_of_folder(path: str | os.PathLike) -> str:
    """Returns one SHA-256 of all files below a folder: of their relative paths and contents."""
    folder = Path(path)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = (f"{file.relative_to(folder).as_posix()} {sha256(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
