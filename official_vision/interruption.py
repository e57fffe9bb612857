"""Handling of Ctrl-C that can't be lost: Python drops exceptions in finalisers, and some libraries catch all."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

_pressed = threading.Event()


def interrupt(*_: object) -> None:
    """Handles SIGINT: remembers it and raises.

    Raises:
      KeyboardInterrupt: always.
    """
    _pressed.set()
    raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Lets `check` raise within the block if Ctrl-C was pressed in it and the exception was lost.

    Raises:
      KeyboardInterrupt: at the block's end, if Ctrl-C was pressed and neither raised nor `forget` called.
    """
    _pressed.clear()
    is_main = threading.current_thread() is threading.main_thread()
    # One that the process ignores, as in a shell's background, or handles otherwise is left as it is.
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
        check()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def check() -> None:
    """Raises a lost interruption; called before results are moved to their place.

    Raises:
      KeyboardInterrupt: Ctrl-C was pressed.
    """
    if _pressed.is_set():
        raise KeyboardInterrupt


def forget() -> None:
    """Marks Ctrl-C as handled, for a command that it ends in the regular way."""
    _pressed.clear()
