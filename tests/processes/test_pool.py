"""Items over processes: results, errors, and processes that die."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from official_vision.errors import UserError
from official_vision.processes.pool import WorkerCrashedError, spread


def work(item):
    """The work of an item."""
    if item == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "mistake":
        raise UserError("a mistake. Received: one.")
    if item == "defect":
        raise ZeroDivisionError("a defect")
    return item * 2, os.getpid()


def test_one_worker_is_this_process():
    results = dict(spread(work, ["a", "mistake", "b"], 1))
    assert results["a"] == ("aa", os.getpid())
    assert isinstance(results["mistake"], UserError)
    assert results["b"][0] == "bb"


def test_a_crash_costs_its_item_alone():
    items = ["a", "crash", "b", "mistake", "c"]
    results = dict(spread(work, items, 2))
    assert set(results) == set(items)
    assert {results[name][0] for name in "abc"} == {"aa", "bb", "cc"}
    assert os.getpid() not in {results[name][1] for name in "abc"}
    assert isinstance(results["crash"], WorkerCrashedError)
    assert str(results["mistake"]) == "a mistake. Received: one."
    assert not isinstance(results["mistake"], WorkerCrashedError)


def wait_long(path):
    """Leaves a file while it works, which is gone after it, however it ends."""
    Path(path).write_text("")
    try:
        time.sleep(60)
    finally:
        Path(path).unlink()


COMMAND = """
import sys
import threading
from official_vision import cli
from official_vision.processes.pool import spread
from tests.processes.test_pool import wait_long

if __name__ == "__main__":
    names, sys.argv[1:] = sys.argv[1:], []
    cli.run(lambda: list(spread(wait_long, names, 2)))
"""


def test_an_interrupt_ends_all_workers_in_one_line(tmp_path):
    """A terminal's Ctrl-C goes to every process of the command."""
    script, working = tmp_path / "command.py", [tmp_path / "a", tmp_path / "b"]
    script.write_text(COMMAND)
    root = str(Path(__file__).parents[2])
    command = subprocess.Popen(
        [sys.executable, str(script), *map(str, working), str(tmp_path / "c")],
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    last = time.monotonic() + 60
    while not all(path.exists() for path in working) and time.monotonic() < last:
        time.sleep(0.1)
    os.killpg(command.pid, signal.SIGINT)
    _, message = command.communicate(timeout=30)
    assert command.returncode == 130
    assert message.startswith("interrupted: ")
    assert message.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["command.py"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_defect_of_ours_is_raised(workers):
    with pytest.raises(ZeroDivisionError, match="a defect"):
        list(spread(work, ["defect"], workers))


def test_no_thread_is_left_for_python_to_end():
    before = set(threading.enumerate())
    assert len(dict(spread(work, ["a", "b", "c"], 2))) == 3
    assert set(threading.enumerate()) <= before
