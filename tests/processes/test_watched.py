"""A child that serves calls: results, errors, crashes and silence; what is limited is silence, not work."""

from __future__ import annotations

import os
import signal
import time

import pytest

from official_vision.processes.watched import CrashedError, SilentError, WatchedChild, serve

MODULE = "tests.processes.test_watched"


def work(seconds, steps, on_step):
    for _ in range(steps):
        time.sleep(seconds / steps)
        on_step()
    return os.getpid()


def divide(number, on_step):
    del on_step
    return 1 // number


def crash(on_step):
    del on_step
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def child():
    made = WatchedChild(MODULE)
    yield made
    made.close()


def test_a_child_lives_until_it_crashes_or_falls_silent(child):
    first = child.call("work", (0.0, 1), silence_sec=60)  # which starts it
    # Longer than the limit, and never silent.
    assert child.call("work", (1.8, 18), silence_sec=1.4) == first
    with pytest.raises(ZeroDivisionError):
        child.call("divide", (0,), silence_sec=60)
    assert child.call("work", (0.0, 1), silence_sec=60) == first
    with pytest.raises(CrashedError, match="exit status -9"):
        child.call("crash", (), silence_sec=60)
    second = child.call("work", (0.0, 1), silence_sec=60)
    assert second != first
    with pytest.raises(SilentError):
        child.call("work", (60.0, 1), silence_sec=0.3)
    assert child.call("work", (0.0, 1), silence_sec=60) not in (first, second)


if __name__ == "__main__":
    serve({"work": work, "divide": divide, "crash": crash})
