"""SIGTERM and Ctrl-C within the block are noted, and after it deadly again."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from official_vision.training.resilience.stop_signals import stop_signals_noted


def test_the_signal_is_noted_and_the_handler_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals_noted() as stop:
        assert not stop.arrived
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.arrived
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_is_noted_once_and_interrupts_the_second_time(capfd):
    with stop_signals_noted() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert (stop.arrived, stop.by_user) == (True, True)
        assert "Ctrl-C again stops at once" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_ctrl_c_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_signals_noted() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stop.arrived
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_do_without():
    arrived = []

    def work():
        with stop_signals_noted() as stop:
            arrived.append(stop.arrived)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert arrived == [False]
