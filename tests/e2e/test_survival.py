"""Runs that are killed, stopped and damaged, in separate processes, end as undisturbed ones do."""

from __future__ import annotations

import random
import shutil
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.training import runs

STEPS, KILLS = 20, 3
SETTINGS = {
    "steps": STEPS,
    "steps_per_loop": 1,
    "checkpoint_interval": 2,
    "validation_interval": STEPS // 2,
    "ema_decay": 0.9,
    "dropout_rate": 0.5,
    "flip": True,
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set, and a network of one stream and two blocks."""
    folder = tmp_path_factory.mktemp("survival")
    runs.write_data(folder)
    runs.save_small(folder, streams=("rgb",))
    return folder


def start(folder, name, **changes):
    """Begins or continues a run."""
    graph = str(folder / "small.json")
    config = runs.config(folder, folder / name, graph, **{**SETTINGS, **changes})
    (folder / f"{name}.gin").write_text(config.to_gin())
    return commands.start("train", f"--gin_file={folder / name}.gin")


def screen(process):
    return process.printed("stdout") + process.printed("stderr")


def finish(folder, name, **changes):
    """Begins or continues a run to its end; returns what it printed."""
    process = start(folder, name, **changes)
    assert process.wait() == 0, screen(process)
    return screen(process)


@pytest.fixture(scope="module")
def whole(folder):
    """Everything in the last checkpoint of an undisturbed run."""
    finish(folder, "whole")
    return state(folder / "whole")


def state(folder):
    """All values of a run's newest checkpoint: weights, averages, velocities, steps."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder)))
    names = set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    # How often this process has saved is no part of the training.
    return {name: reader.get_tensor(name) for name in names if not name.startswith("save_counter")}


def assert_same_bits(actual, expected):
    assert actual.keys() == expected.keys()
    assert any("average" in name for name in expected)
    assert any("momentum" in name for name in expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def wait_for(condition, what):
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.001)


def test_stopped_and_killed_it_ends_with_the_same_bits(folder, whole):
    stop(folder, "killed")
    chance = random.Random(5)
    killed = folder / "killed"
    statuses = []
    for kill in range(KILLS):
        process = start(folder, "killed")
        if kill == 0:  # while a checkpoint is written
            before = {path.name for path in killed.glob("ckpt-*.index")}

            def is_moment(before=before):
                newer = {path.name for path in killed.glob("ckpt-*")} - before
                return any("_temp" in name or "tempstate" in name for name in newer)
        else:
            steps = chance.randint(0, 2)

            def is_moment(steps=steps, process=process):
                return process.printed("stdout").count("\nstep ") >= steps

        wait_for(
            lambda moment=is_moment, process=process: moment() or process.poll() is not None,
            screen(process),
        )
        time.sleep(chance.random() * 0.05 if kill else 0)
        process.kill()
        statuses.append(process.wait())
        newest = tf.train.latest_checkpoint(str(killed))
        assert len(runs.weights(newest)) > 5  # whole: it can be read to its end
        if statuses[-1] == 0:
            break
    assert statuses.count(-signal.SIGKILL) >= 2
    if statuses[-1] != 0:
        finish(folder, "killed")
    assert_same_bits(state(killed), whole)
    assert (killed / "result.json").is_file()


def stop(folder, name):
    """Begins a run, and ends it by SIGTERM after its first step: it saves, and exits with status 143."""
    process = start(folder, name, checkpoint_interval=STEPS)
    wait_for(lambda: "\nstep 1/" in screen(process), screen(process))
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    stdout, stderr = process.communicate()
    assert "Traceback" not in stdout + stderr
    (line,) = [line for line in stderr.splitlines() if line.startswith("stopped: ")]
    step = int(tf.train.latest_checkpoint(str(folder / name)).rsplit("-", 1)[1])
    assert 1 <= step < STEPS
    assert f"is saved at step {step} of {STEPS}" in line


def test_a_damaged_newest_checkpoint_is_passed_over(folder, whole):
    damaged = folder / "damaged"
    shutil.copytree(folder / "whole", damaged)
    (damaged / "result.json").unlink()
    (data,) = damaged.glob(f"ckpt-{STEPS}.data*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    printed = finish(folder, "damaged")
    assert f"ckpt-{STEPS} is damaged" in printed
    assert f"at step {STEPS - 2} of {STEPS}" in printed
    assert_same_bits(state(damaged), whole)
