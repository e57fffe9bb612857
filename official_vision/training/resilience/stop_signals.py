"""Requests to stop a run, which then ends at a place from which it can continue."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

from official_vision import interruption

_SOON = b"stopping after this loop of steps, or this batch of an evaluation; Ctrl-C again stops at once\n"


class StopRequest:
    """A flag that SIGTERM or Ctrl-C has arrived; the run checks it after every loop and every batch of evaluation.

    Attributes:
      arrived: this process got a request to stop.
      agreed: all processes of the run know that one was, after the same loop of steps.
      by_user: it was Ctrl-C.
    """

    def __init__(self) -> None:
        self.arrived = False
        self.agreed = False
        self.by_user = False

    def note(self, number: int = signal.SIGTERM, *_: object) -> None:
        """Notes the signal, no more, because a step may be in progress; a second Ctrl-C interrupts.

        Raises:
          KeyboardInterrupt: Ctrl-C came before.
        """
        if number == signal.SIGINT:
            if self.by_user:
                raise KeyboardInterrupt
            self.by_user = True
            # Not by print: the signal may have come within one.
            with contextlib.suppress(OSError):
                os.write(sys.__stderr__.fileno(), _SOON)
        self.arrived = True


@contextlib.contextmanager
def stop_signals_noted() -> Iterator[StopRequest]:
    """Notes SIGTERM and Ctrl-C within the block, which then don't end the process.

    Outside the main thread signals can't be handled; there the request never arrives. A Ctrl-C that the process
    ignores, as in a shell's background, or handles otherwise, is left as it is. TensorFlow's
    PreemptionCheckpointHandler is not used: it needs a cluster, and exits the process.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {signal.SIGTERM: signal.getsignal(signal.SIGTERM)}
    by_interrupt = signal.getsignal(signal.SIGINT)
    if by_interrupt in (signal.default_int_handler, interruption.interrupt):
        before[signal.SIGINT] = by_interrupt
    for number in before:
        signal.signal(number, request.note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            if handler is not None:  # which Python cannot put back
                signal.signal(number, handler)
