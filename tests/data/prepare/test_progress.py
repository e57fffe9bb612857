"""Progress in a log: how often, what it counts, and which rate it names."""

import sys
import threading

import pytest
from tqdm import tqdm

from official_vision.data.prepare.progress import ProgressLines, progress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_line_each_interval_with_the_rate_since_the_one_before(clock, capsys):
    lines = ProgressLines(100, "train", interval_sec=30, clock=clock)
    for _ in range(40):  # finished before
        lines.update()
    assert capsys.readouterr().out == ""
    for number in range(20):
        clock.now = 3.0 * (number + 1)
        lines.update()
    # 50 after 30 s, of which 40 in no time; 60 after 60 s: 10 in the last 30 s, 40 are left.
    first, second = capsys.readouterr().out.splitlines()
    assert first == "train: 50 of 100 videos,  1.67video/s, 00:30 left"
    assert second == "train: 60 of 100 videos,  3.00s/video, 02:00 left"


def test_steps_of_several_threads_are_all_counted(clock, capsys):
    lines = ProgressLines(4001, "train", interval_sec=1, clock=clock)
    threads = [
        threading.Thread(target=lambda: [lines.update() for _ in range(1000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now = 1.0
    lines.update()
    assert capsys.readouterr().out.startswith("train: 4001 of 4001 videos")


@pytest.mark.parametrize(("terminal", "kind"), [(True, tqdm), (False, ProgressLines)])
def test_the_kind_follows_the_terminal(monkeypatch, terminal, kind):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with progress(3, "train") as shown:
        assert isinstance(shown, kind)
