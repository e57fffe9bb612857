"""Batches of input servers are those of the local pipeline, in its order."""

from __future__ import annotations

import itertools
import signal

import numpy as np
import pytest
import tensorflow as tf

from official_vision.data.input.pipeline import build_dataset
from official_vision.errors import UserError
from official_vision.specs import DataSpec
from tests import commands
from tests.training import runs


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "train"
    return folder, runs.write_split(folder, [n % 4 for n in range(8)])


def batches(split, count, **settings):
    folder, index = split
    spec = DataSpec(path=str(folder), batch_size=2, frames=4, size=32, mixup_alpha=0.4)
    data = build_dataset(spec, index, runs.STREAMS, training=True, **settings)
    return [tf.nest.flatten(batch) for batch in itertools.islice(data.as_numpy_iterator(), count)]


@pytest.fixture(scope="module")
def servers():
    """Addresses of two commands."""
    started = [commands.start("serve_input", "--host=localhost", "--port=0") for _ in range(2)]
    addresses = []
    for process in started:
        while "TrainSpec" not in (printed := process.printed("stdout")):
            assert process.poll() is None, process.communicate()
        first, setting = printed.splitlines()
        addresses.append(first.split()[3])
        assert setting == f"TrainSpec.input_servers = ('{addresses[-1]}',)"
    yield addresses
    for process in started:
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert process.printed("stdout").splitlines()[-1] == "ended"


def check_equal(actual, expected):
    assert len(actual) == len(expected)
    for batch, other in zip(actual, expected, strict=True):
        for value, wanted in zip(batch, other, strict=True):
            np.testing.assert_array_equal(value, wanted)


@pytest.mark.slow
def test_two_servers_make_the_batches_of_one_pipeline_in_order(split, servers):
    local = batches(split, 9)
    check_equal(batches(split, 7, servers=servers), local[:7])
    # A run that goes on at step 3, with one server less.
    check_equal(batches(split, 4, servers=servers[:1], start_step=3), local[3:7])


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("localhost", "must be addresses host:port"),
        ("localhost:99999", "must be addresses host:port"),
        ("127.0.0.1:1", "Start official-vision serve-input there"),
    ],
)
def test_servers_out_of_reach_are_one_line(split, address, words):
    with pytest.raises(UserError, match=words):
        batches(split, 1, servers=[address])


def test_damaged_segments_are_not_skipped_by_servers(split):
    folder, index = split
    spec = DataSpec(path=str(folder), damaged="skip")
    with pytest.raises(UserError, match="Set damaged = 'fail'"):
        build_dataset(spec, index, runs.STREAMS, training=True, servers=["localhost:1"])
