"""Names in files: shown safely, compared in one spelling, and used in paths only where they are plain."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from official_vision.errors import UserError

# Most bytes of a name in the file systems of Linux, macOS and Windows.
MOST_NAME_BYTES = 255
_HASH_LETTERS = 8
# Ends of lines and other control characters, and what reads bytes that are not UTF-8 (surrogates).
_UNSHOWABLE = ("Cc", "Cs", "Zl", "Zp")


def shown(text: str | os.PathLike) -> str:
    r"""Returns a name as it can be printed on one line and written as UTF-8.

    Bytes of a path that are not UTF-8 become `\xe9`, control characters and line ends `\n` or `\x07`.
    """
    return "".join(
        _escaped(character) if unicodedata.category(character) in _UNSHOWABLE else character
        for character in os.fspath(text)
    )


def check_no_pattern(path: str | os.PathLike, what: str) -> None:
    r"""Refuses a path of weights that TensorFlow would take for a pattern, and so not find: one with [ or \.

    Args:
      path: as TensorFlow gets it.
      what: names it, for the error: a flag or a setting.

    Raises:
      UserError: the path has such a character.
    """
    if any(character in os.fspath(path) for character in "[\\"):
        raise UserError(
            f"{what} must have no [ and no \\, which TensorFlow reads as a pattern. Received: {shown(path)}. "
            "Rename the folder, or name a link to it."
        )


def one_spelling(text: str) -> str:
    """Returns the text without surrounding blanks, composed (Unicode NFC): equal names look and are equal."""
    return unicodedata.normalize("NFC", text.strip())


def checked_name(text: str, what: str, where: str) -> str:
    """Returns a name of a class or split in one spelling.

    Args:
      text: as a file has it.
      what: it names, for the error: "a class".
      where: file and line, for the error.

    Raises:
      UserError: it is empty, or has a line end, another control character or bytes that are not UTF-8.
    """
    name = one_spelling(text)
    if not name or any(unicodedata.category(c) in _UNSHOWABLE for c in name):
        raise UserError(
            f"{where}: {what}'s name is text of one line, in UTF-8. Received: {shown(text)!r}. Mend it."
        )
    return name


def checked_folder_name(text: str, what: str, where: str) -> str:
    r"""Checks, as `checked_name`, a folder's name, which must not lead out of its parent.

    Raises:
      UserError: it is not a plain name: it contains / or \, begins with a point, or is too long.
    """
    name = checked_name(text, what, where)
    too_long = len(os.fsencode(name)) > MOST_NAME_BYTES
    if name.startswith((".", "~")) or "/" in name or "\\" in name or too_long:
        raise UserError(
            f"{where}: {what}'s name becomes a folder's: a plain name of at most {MOST_NAME_BYTES} bytes, without "
            f"/ or \\, which begins with neither . nor ~. Received: {_clipped(shown(text))!r}. Choose another."
        )
    return name


def differing_by_case(names: Iterable[str]) -> list[tuple[str, str]]:
    """Returns the pairs of different names that are equal but for case or width, as a typing mistake makes them."""
    first: dict[str, str] = {}
    pairs = []
    for name in dict.fromkeys(names):
        folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        if folded in first:
            pairs.append((first[folded], name))
        first.setdefault(folded, name)
    return pairs


def file_stem(name: str, room: int) -> str:
    """Returns a name that leaves room for an ending, shortened where it must be and then made unique by a hash.

    Args:
      name: of a file, without its ending; it may have bytes that are not UTF-8.
      room: bytes that follow.
    """
    name = shown(name)
    encoded = name.encode()
    if len(encoded) + room <= MOST_NAME_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH_LETTERS]
    beginning = encoded[: MOST_NAME_BYTES - room - len(digest) - 1].decode("utf-8", "ignore")
    return f"{beginning}-{digest}"


def existing_path(root: str | os.PathLike, path: str | os.PathLike) -> Path:
    """Returns root / path as it is spelled on disk: composed and decomposed letters (é) look the same, and differ.

    Where nothing of the very spelling exists, each part may be the one entry of its folder that has the
    same composed form; where there is none, or several, the path stays as it is.
    """
    whole = Path(root) / path
    if os.path.lexists(whole):
        return whole
    place = Path(root)
    for part in Path(path).parts:
        place = _respelled(place, part)
    return place if os.path.lexists(place) else whole


def _respelled(folder: Path, name: str) -> Path:
    if os.path.lexists(folder / name) or not os.path.isdir(folder):
        return folder / name
    wanted = unicodedata.normalize("NFC", name)
    try:
        alike = [e for e in os.listdir(folder) if unicodedata.normalize("NFC", e) == wanted]
    except OSError:  # a folder that can't be read
        alike = []
    return folder / (alike[0] if len(alike) == 1 else name)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python reads a path's byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _clipped(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
