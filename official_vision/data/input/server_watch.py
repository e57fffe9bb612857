"""Ends a training process whose input server is gone: TensorFlow would wait for its batch for ever."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence

from official_vision.processes.addresses import check_listening

_BETWEEN_SEC = 5.0
_CONNECT_SEC = 5.0


def watch_servers(servers: Sequence[str], limit_sec: float = 60.0) -> None:
    """Watches servers for the rest of this process, and ends it with one line and status 1 when one is lost.

    For commands alone: it ends the process at once, as a kill would, since the thread that trains is inside
    TensorFlow. A run goes on from its newest checkpoint.

    Args:
      servers: addresses, host:port.
      limit_sec: time for which a server may be out of reach.
    """
    for address in servers:
        threading.Thread(target=_watch, args=(address, limit_sec), daemon=True).start()


def _watch(address: str, limit_sec: float) -> None:
    last = time.monotonic()
    while time.monotonic() - last < limit_sec:
        time.sleep(min(_BETWEEN_SEC, limit_sec / 4))
        try:
            check_listening(address, _CONNECT_SEC)
        except OSError:
            continue
        last = time.monotonic()
    sys.stderr.write(
        "error: A run needs all of its input servers. Received: nothing from "
        f"{address} for {limit_sec:.0f} s. Start official-vision serve-input there, or change "
        "TrainSpec.input_servers; then start the run again: it goes on from its newest checkpoint.\n"
    )
    sys.stderr.flush()
    os._exit(1)
