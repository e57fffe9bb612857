"""SIGTERM within the block is noted, and after it deadly again."""

from __future__ import annotations

import os
import signal
import threading

from official_vision.training.preemption import sigterm_noted


def test_the_signal_is_noted_and_the_handler_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_noted() as stop:
        assert not stop.arrived
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.arrived
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_do_without():
    found = []

    def work():
        with sigterm_noted() as stop:
            found.append(stop.arrived)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
