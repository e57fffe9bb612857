"""A request to stop: the machine is wanted back, and the run ends where it can go on."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


class StopRequest:
    """Whether SIGTERM has arrived; the run asks after every loop and every batch of evaluation.

    Attributes:
      arrived: this process was asked to stop.
      agreed: all processes of the run know that one was, after the same loop of steps.
    """

    def __init__(self) -> None:
        self.arrived = False
        self.agreed = False

    def note(self, *_: object) -> None:
        """Handles the signal: nothing but a note, because a step may be under way."""
        self.arrived = True


@contextlib.contextmanager
def sigterm_noted() -> Iterator[StopRequest]:
    """Notes SIGTERM within the block instead of dying of it.

    Outside the main thread signals can't be handled; there the request never arrives. TensorFlow's
    own PreemptionCheckpointHandler is not used: it needs a cluster, and leaves the process itself.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.signal(signal.SIGTERM, request.note)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
