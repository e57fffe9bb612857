"""A child process that works on one request after the other, and is replaced when it crashes or falls silent.

A library in native code can be killed by its input, or loop for ever, in ways that no exception handler sees. The
child says while it is at work that it lives; what is limited is the time of its silence, not that of its work.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from official_vision.processes.start import end, start_module

# What a child sends: a kind and a value. The first comes while it is at work, then one of the others.
_AT_WORK, _DONE, _RAISED = "at work", "done", "raised"
_TELL_INTERVAL_SEC = 0.2


class SilentError(Exception):
    """The child gave no sign of life for too long, and was killed."""


class CrashedError(Exception):
    """The child died.

    Attributes:
      status: its exit status, negative where a signal ended it.
    """

    def __init__(self, status: int):
        """Args:
        status: of the child.
        """
        super().__init__(f"exit status {status}")
        self.status = status


class ClosedError(Exception):
    """The child was ended on purpose while it worked, or before it began."""


class WatchedChild:
    """A child process, started when first needed and replaced after a crash or too long a silence."""

    def __init__(self, module: str):
        """Args:
        module: dotted name of the module whose main program calls `serve`.
        """
        self._module = module
        self.process: subprocess.Popen | None = None
        self._connection: Connection | None = None
        self._closed = False

    def call(self, function: str, arguments: tuple[Any, ...], silence_sec: float) -> Any:
        """Calls a function in the child.

        Args:
          function: its name, of those that the child serves.
          arguments: are pickled.
          silence_sec: after which a child without a sign of life is killed.

        Returns:
          What the function returned.

        Raises:
          SilentError: no sign of life for too long.
          CrashedError: the child died.
          ClosedError: `close` was called meanwhile.
          Exception: what the function raised.
        """
        if self.process is None:
            self._start()
        try:
            self._connection.send((function, arguments))
            reply = (_AT_WORK, None)
            while reply[0] == _AT_WORK:
                if not self._connection.poll(silence_sec):
                    self.process.kill()
                    self._discard()
                    raise SilentError
                reply = self._connection.recv()
        except (EOFError, OSError) as error:
            if self._closed:
                raise ClosedError from error
            raise CrashedError(self._discard()) from error
        kind, value = reply
        if kind == _RAISED:
            raise value
        return value

    def close(self) -> None:
        """Kills the child; a call in another thread ends with ClosedError."""
        self._closed = True
        process = self.process  # another thread may discard it meanwhile
        if process is not None:
            process.kill()
            process.wait()

    def _start(self) -> None:
        if self._closed:
            raise ClosedError
        self._connection, theirs = Pipe()
        self.process = start_module(self._module, theirs.fileno())
        theirs.close()

    def _discard(self) -> int:
        process, self.process = self.process, None
        try:
            return end(process)
        finally:
            self._connection.close()


def serve(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Serves a WatchedChild until the caller is gone; the main program of a child.

    Args:
      functions: by name; each gets a function `on_step` besides its arguments, to call while it is at work.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    connection = Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            function, arguments = connection.recv()
            connection.send(reply_of(functions[function], arguments, connection.send))


def reply_of(
    function: Callable[..., Any], arguments: tuple[Any, ...], send: Callable[[Any], None]
) -> tuple[str, Any]:
    """Calls a function, and sends now and then that it is at work.

    Args:
      function: takes `arguments` and on_step.
      arguments: of the call.
      send: takes a message.

    Returns:
      The message about its end.
    """
    last_message = time.monotonic()

    def on_step() -> None:
        nonlocal last_message
        if time.monotonic() > last_message + _TELL_INTERVAL_SEC:
            send((_AT_WORK, None))
            last_message = time.monotonic()

    try:
        return _DONE, function(*arguments, on_step=on_step)
    except Exception as error:
        return _RAISED, error
