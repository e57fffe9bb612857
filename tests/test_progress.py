"""Progress on terminals and in logs: how often, what it counts, and which rate and time left it names."""

from __future__ import annotations

import io
import re
import threading

import pytest

from official_vision.progress import Progress, clock, estimate, tracked


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def now():
    return Clock()


def test_a_line_each_interval_with_the_rate_since_the_one_before(now):
    log = io.StringIO()
    progress = Progress(100, "train", stream=log, interval_sec=30, now=now)
    for _ in range(40):  # found finished
        progress.update()
    assert log.getvalue() == ""
    for number in range(20):
        now.now = 3.0 * (number + 1)
        progress.update()
    # 50 after 30 s, of which 40 in no time; 60 after 60 s: 10 in the last 30 s, 40 are left.
    first, second = log.getvalue().splitlines()
    assert first == "train: 50 of 100 videos  1.67 videos/s  0:30 left"
    assert second == "train: 60 of 100 videos  3.00 s per video  2:00 left"


def test_steps_of_several_threads_are_all_counted(now):
    log = io.StringIO()
    progress = Progress(4001, "train", stream=log, interval_sec=1, now=now)
    threads = [
        threading.Thread(target=lambda: [progress.update() for _ in range(1000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now.now = 1.0
    progress.update()
    assert log.getvalue().startswith("train: 4001 of 4001 videos")


def test_a_terminal_gets_a_bar_whose_lines_stay_whole(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    screen, results = Terminal(), io.StringIO()
    with Progress(8, "train", "clips", done=2, stream=screen) as progress:
        assert progress.is_bar
        progress.update(2)
        progress.note("left out: a.mp4")
        progress.note("b.mp4", results)
    assert results.getvalue() == "b.mp4\n"
    assert "left out: a.mp4\n" in screen.getvalue()
    last = screen.getvalue().rstrip("\n").split("\r")[-1]
    assert re.match(r" 50%\|.+\| 4/8 clips  train  \d+\.\d\d clips/s  0:00 left", last)


def test_one_step_needs_no_bar():
    assert not Progress(1, stream=Terminal()).is_bar


def test_items_come_through_in_order(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    assert list(tracked(iter("abc"), 3, "reading", "letters")) == ["a", "b", "c"]
    assert "3/3 letters  reading" in screen.getvalue()


@pytest.mark.parametrize(
    ("rate", "text"),
    [(2.5, "2.50 clips/s  0:04 left"), (0.25, "4.00 s per clip  0:40 left"), (0.0, "")],
)
def test_estimates(rate, text):
    assert estimate(rate, 10, "clips") == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (61.6, "1:02"), (3725, "1:02:05")])
def test_clock(seconds, text):
    assert clock(seconds) == text
