"""Threads an operation: the rule, and what a run leaves TensorFlow with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from official_vision.specs import TrainSpec
from official_vision.training.devices import threads

REPOSITORY = Path(__file__).resolve().parents[3]
# Each run ends at its missing data: everything that comes before has happened by then. A fork each: TensorFlow
# can be set up once per process, and takes seconds to import.
# TensorFlow has begun, tf.config's number before, cores, TrainSpec's number, the variable -> tf.config's number.
RUNS = {
    (False, 0, 2, 0, ""): 1,
    (False, 0, 8, 0, ""): 0,
    (False, 0, 2, 0, "2"): 0,
    (False, 0, 2, 3, "2"): 3,
    (False, 4, 2, 0, ""): 4,
    (False, 4, 2, 3, ""): 3,
    (True, 0, 2, 0, ""): 0,  # too late for the rule of 0
    (True, 0, 2, 2, ""): 0,  # too late, but in force
    (True, 0, 2, 3, ""): 0,
}
TOO_LATE = (True, 0, 2, 3, "")


@pytest.mark.parametrize(
    ("chosen", "cores", "gpus", "variable", "number"),
    [
        (0, 1, 0, "", 1),
        (0, 2, 0, "", 1),
        (0, 3, 0, "", 0),
        (0, 64, 0, "", 0),
        (0, 2, 1, "", 0),
        (0, 2, 0, "2", 0),
        (0, 2, 0, "0", 0),
        (4, 2, 0, "", 4),
        (1, 64, 8, "", 1),
        (4, 2, 0, "2", 4),
    ],
)
def test_few_cores_have_a_thread_an_operation(chosen, cores, gpus, variable, number):
    assert threads._number(chosen, cores, gpus, variable) == number


@pytest.fixture(scope="module")
def printed():
    """A line on how a run ended, and the threads that were set in TensorFlow, by RUNS' keys."""
    command = [
        sys.executable,
        "-m",
        "tests.training.devices.thread_settings",
        json.dumps(list(RUNS)),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    return dict(zip(RUNS, zip(lines[::2], lines[1::2], strict=True), strict=True))


@pytest.mark.parametrize("settings", RUNS)
def test_a_run_sets_threads(settings, printed):
    ending, number = printed[settings]
    assert int(number) == RUNS[settings]
    assert ending.startswith("train/DataSpec.path must") == (settings != TOO_LATE)


def test_a_number_that_comes_too_late_is_refused(printed):
    assert printed[TOO_LATE][0] == (
        "TrainSpec.threads_per_operation must be set before TensorFlow computes. Received: 3, with 2 in force. "
        "Train in a separate process, or leave it at 0."
    )


def test_tpus_are_left_alone():
    tf.ones(1).numpy()
    before = threads.threads_in_force()
    chosen = before + 1  # would be refused here
    threads.set_threads(TrainSpec(strategy="tpu", threads_per_operation=chosen))
    assert threads.threads_in_force() == before


@pytest.mark.parametrize(("variable", "number"), [("3", 3), ("", 5), ("0", 5), ("many", 5)])
def test_without_a_setting_the_variable_then_the_cores_are_in_force(variable, number, monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", variable)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(5)), raising=False)
    assert threads.threads_in_force() == number
