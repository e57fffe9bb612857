"""Items over processes: results, errors, and processes that die."""

import os
import signal

import pytest

from official_vision.errors import UserError
from official_vision.serving.workers import WorkerCrashedError, spread


def work(item):
    """What an item asks for."""
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


@pytest.mark.parametrize("workers", [1, 2])
def test_a_defect_of_ours_is_raised(workers):
    with pytest.raises(ZeroDivisionError, match="a defect"):
        list(spread(work, ["defect"], workers))
