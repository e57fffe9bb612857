"""The lines that a user reads during a run."""

from __future__ import annotations

import io
import re

import numpy as np

from official_vision.progress import clock
from official_vision.training.observation.training_progress import Loop, TrainingProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def loop(step, seconds, share=0.25):
    rates = {"learning_rate": 0.1, "architecture_learning_rate": 0.002}
    return Loop(step, 10, seconds, share, 1.5, {"weight_decay": 0.25}, rates)


def test_an_output_becomes_a_loop():
    output = {
        "training_loss": np.float32(2.5),
        "search_terms": 0.5,
        "learning_rate": np.float32(0.5),
        "architecture_learning_rate": 0.25,
        "seconds": 8.0,
        "input_wait_share": 0.125,
    }
    loop = Loop.of(output, 30, 20)
    rates = {"learning_rate": 0.5, "architecture_learning_rate": 0.25}
    assert loop == Loop(30, 20, 8.0, 0.125, 2.5, {"search_terms": 0.5}, rates)
    assert loop.pace == 0.4


def test_plain_lines_say_everything():
    screen = io.StringIO()
    progress = TrainingProgress(0, 100, 16, screen)
    progress(loop(10, 4.0))
    assert screen.getvalue() == (
        "step 10/100  loss 1.5000 + weight decay 0.2500  learning rate 1.00e-01  "
        "architecture learning rate 2.00e-03  2.50 steps/s  40.0 clips/s  25% waiting for input  0:36 left\n"
    )


def test_time_left_leaves_out_tracing_and_pauses():
    screen = io.StringIO()
    progress = TrainingProgress(0, 100, 16, screen)
    # The first loop traces; between loops evaluations may take as long as they will.
    for step, seconds in ((10, 60.0), (20, 5.0), (30, 15.0)):
        progress(loop(step, seconds))
    left = re.findall(r"(\d+:\d+) left", screen.getvalue())
    assert left == [clock(6.0 * 90), clock(0.5 * 80), clock(1.0 * 70)]


def test_a_terminal_gets_a_bar_that_fits(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    screen = Terminal()
    progress = TrainingProgress(40, 600, 16, screen)
    progress(loop(50, 5.0))
    progress.note("evaluated: mAP 0.5")
    progress(loop(60, 5.0))
    progress.close()
    shown = screen.getvalue()
    last = shown.rstrip("\n").split("\r")[-1]
    assert "60/600 steps  loss 1.500  2.00 steps/s  32.0 clips/s  input 25%  4:30 left" in last
    assert last.startswith(" 10%|")
    assert "evaluated: mAP 0.5\n" in shown
    assert all(len(line) <= 100 for line in re.split(r"[\r\n]", shown))
