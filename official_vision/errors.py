"""Errors: a user's mistake, and work that ends on request; and the nearest right name for a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


class UserError(ValueError):
    """A mistake that the user can correct: one line with the rule, what was received and the remedy.

    The commands print the message without a traceback and exit with status 1.
    """


class StoppedError(Exception):
    """Work that was stopped on request (SIGTERM or Ctrl-C) at a place from which it can go on.

    The commands print the message and exit with status 143, or 130 where it was Ctrl-C.
    """

    def __init__(self, message: str, *, by_user: bool = False):
        """Args:
        message: how far the work is.
        by_user: the request was Ctrl-C.
        """
        super().__init__(message)
        self.by_user = by_user


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns a remedy sentence naming the known names, the most similar one first."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known names: {', '.join(known)}."


def reason_of(error: BaseException, most: int = 300) -> str:
    """Returns what a library's error says, as one line to put into a message.

    Args:
      error: of any library; its text may have many lines, or none.
      most: characters.
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)[:most]


def check_names(names: Iterable[str], known: Collection[str], what: str) -> None:
    """Checks that every setting that a caller names exists.

    Args:
      names: that the caller uses.
      known: names that exist.
      what: has these settings, e.g. "ModelSpec".

    Raises:
      UserError: a name is not among the known ones.
    """
    for name in names:
        if name not in known:
            raise UserError(
                f"A setting must be one that {what} has. Received: {name!r}. {nearest(name, known)}"
            )
