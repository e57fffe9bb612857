"""Ctrl-C whose exception is lost still ends a command, and nothing appears under its final name."""

import contextlib
import os
import signal

import pytest

from official_vision import files, interruption


def press_and_lose():
    """As a library does that catches everything."""
    with contextlib.suppress(BaseException):
        os.kill(os.getpid(), signal.SIGINT)


def test_it_is_raised_at_the_end():
    steps = []
    with pytest.raises(KeyboardInterrupt), interruption.interruptible():
        steps += [press_and_lose(), "went on"]
    assert steps == [None, "went on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("written", [files.written_aside, files.folder_written_aside])
def test_what_is_being_written_does_not_appear(tmp_path, written):
    with (
        pytest.raises(KeyboardInterrupt),
        interruption.interruptible(),
        written(tmp_path / "result"),
    ):
        press_and_lose()
    assert list(tmp_path.iterdir()) == []


def test_a_command_may_declare_it_handled(tmp_path):
    with interruption.interruptible():
        press_and_lose()
        interruption.forget()
        files.write_text(tmp_path / "result", "whole")
    assert (tmp_path / "result").read_text() == "whole"


def test_one_of_before_does_not_count():
    with pytest.raises(KeyboardInterrupt), interruption.interruptible():
        press_and_lose()
    with interruption.interruptible():
        pass


def test_a_process_that_ignores_it_goes_on_ignoring_it():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruption.interruptible():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
