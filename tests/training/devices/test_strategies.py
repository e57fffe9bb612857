"""Devices that a run is set to use, but that do not exist."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.training.devices.strategies import devices_lines, make_strategy
from tests.training import runs


def with_train(**settings):
    config = runs.config(Path("data"), "run", "small.json")
    return dataclasses.replace(config, train=dataclasses.replace(config.train, **settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_gpus": 1}, "Received: 1, and it sees no GPU"),
        ({"strategy": "mirrored", "num_gpus": 2}, "Received: 2, and it sees no GPU"),
        ({"strategy": "multi_worker_mirrored", "num_gpus": 8}, "sees no GPU"),
        ({"strategy": "tpu"}, "set 'local' on a machine that has one"),
    ],
)
def test_devices_that_are_not_there_are_one_line(settings, words):
    with pytest.raises(UserError) as raised:
        make_strategy(with_train(**settings))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("strategy", "number"), [("one_device", 3), ("one_device", 2)])
def test_one_device_uses_one_gpu(strategy, number, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: ["GPU:0", "GPU:1"])
    words = {3: "it sees 2 GPUs", 2: "Set TrainSpec.strategy = 'mirrored'"}[number]
    with pytest.raises(UserError, match=words):
        make_strategy(with_train(strategy=strategy, num_gpus=number))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}),
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}),
        json.dumps({"task": {"type": "worker"}}),
    ],
)
def test_workers_that_cannot_be_read_are_one_line(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="TF_CONFIG must be JSON with a cluster"):
        make_strategy(with_train(strategy="multi_worker_mirrored"))


def test_the_first_line_names_the_devices():
    strategy = make_strategy(with_train())
    (line,) = devices_lines(strategy, with_train().train)
    assert line.startswith("devices: the CPU, threads per operation: ")
    assert line.endswith("TensorFlow sees no GPU")
    lines = devices_lines(strategy, with_train(precision="mixed_float16").train)
    assert [line.split("'")[1] for line in lines[1:]] == ["mixed_float16"]


def test_idle_gpus_are_reported(monkeypatch):
    strategy = make_strategy(with_train())
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: ["GPU:0", "GPU:1"])
    (line,) = devices_lines(strategy, with_train().train)
    assert line.startswith("warning: devices: the CPU")
    assert line.endswith("2 GPUs are idle: set TrainSpec.num_gpus = 2")
