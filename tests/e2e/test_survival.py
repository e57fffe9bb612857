"""Runs that are killed, stopped and damaged, in processes of their own, end as undisturbed ones do."""

from __future__ import annotations

import os
import random
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.formats import save_architecture
from official_vision.architecture.graph import Architecture, Block, Stem
from tests.training import runs
from tests.training.forked_runs import Forks

SETTINGS = {
    "steps": 12,
    "steps_per_loop": 1,
    "checkpoint_interval": 2,
    "validation_interval": 6,
    "ema_decay": 0.9,
    "dropout_rate": 0.5,
    "flip": True,
}
KILLS = 6

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    """A data set, a network of one stream and two blocks, and the process that forks runs on them."""
    folder = tmp_path_factory.mktemp("survival")
    runs.write_data(folder)
    nodes = (Stem("rgb", 4), Block(1, (0,), 4), Block(2, (0, 1), 8, 1, 2))
    save_architecture(Architecture("small", nodes, depth=26), folder / "small.json")
    forks = Forks(folder)
    yield forks
    forks.close()


@pytest.fixture(scope="module")
def whole(forks):
    """Everything in the last checkpoint of an undisturbed run."""
    forks.start("whole", **SETTINGS)
    assert forks.ended() == 0, forks.screen("whole")
    return state(forks.folder / "whole")


def state(folder):
    """All that a run's newest checkpoint holds: weights, averages, velocities, steps."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder)))
    names = set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    # How often this process has saved is no part of the training.
    return {name: reader.get_tensor(name) for name in names if not name.startswith("save_counter")}


def assert_same_bits(found, expected):
    assert found.keys() == expected.keys()
    assert any("average" in name for name in expected)
    assert any("momentum" in name for name in expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def wait_for(condition, what):
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.001)


def is_over(pid):
    """The driver waits for its child, so an ended one is soon gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_killed_six_times_it_ends_with_the_same_bits(forks, whole):
    chance = random.Random(5)
    folder = forks.folder / "killed"
    moments = []
    for kill in range(KILLS):
        pid = forks.start("killed", **SETTINGS)
        if kill % 3 == 0:  # while a checkpoint is written
            before = {path.name for path in folder.glob("ckpt-*.index")}

            def is_moment(before=before):
                newer = {path.name for path in folder.glob("ckpt-*")} - before
                return any("_temp" in name or "tempstate" in name for name in newer)
        else:
            steps = chance.randint(0, 2)

            def is_moment(steps=steps):
                return forks.screen("killed").count("\nstep ") >= steps

        wait_for(lambda moment=is_moment, pid=pid: moment() or is_over(pid), forks.screen("killed"))
        time.sleep(chance.random() * 0.05 if kill % 3 else 0)
        if not is_over(pid):
            os.kill(pid, signal.SIGKILL)
        moments.append(forks.ended())
        newest = tf.train.latest_checkpoint(str(folder))
        assert newest is None or len(runs.weights(newest)) > 5  # whole: it can be read to its end
        if moments[-1] == 0:
            break
    assert moments.count(-signal.SIGKILL) >= 3
    if moments[-1] != 0:
        forks.start("killed", **SETTINGS)
        assert forks.ended() == 0, forks.screen("killed")
    assert_same_bits(state(folder), whole)
    assert (folder / "result.json").is_file()


def test_sigterm_saves_and_leaves_with_its_own_status(forks, whole):
    pid = forks.start("asked", **{**SETTINGS, "checkpoint_interval": 12})
    wait_for(lambda: "\nstep 1/" in forks.screen("asked"), forks.screen("asked"))
    os.kill(pid, signal.SIGTERM)
    assert forks.ended() == 143
    screen = forks.screen("asked")
    assert "Traceback" not in screen
    (line,) = [line for line in screen.splitlines() if line.startswith("stopped: ")]
    step = int(tf.train.latest_checkpoint(str(forks.folder / "asked")).rsplit("-", 1)[1])
    assert 1 <= step < 12
    assert f"is saved at step {step} of 12" in line
    forks.start("asked", **{**SETTINGS, "checkpoint_interval": 12})
    assert forks.ended() == 0
    assert f"at step {step} of 12" in forks.screen("asked")
    assert_same_bits(state(forks.folder / "asked"), whole)


def test_a_damaged_newest_checkpoint_is_passed_over(forks, whole):
    forks.start("damaged", **{**SETTINGS, "steps": 8})
    assert forks.ended() == 0
    folder = forks.folder / "damaged"
    assert sorted(p.name for p in folder.glob("ckpt-*.index")) == [
        f"ckpt-{step}.index" for step in (4, 6, 8)
    ]
    (data,) = folder.glob("ckpt-8.data*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    forks.start("damaged", **SETTINGS)
    assert forks.ended() == 0
    screen = forks.screen("damaged")
    assert "ckpt-8 is damaged" in screen
    assert "at step 6 of 12" in screen
    assert_same_bits(state(folder), whole)
