"""The strategy that TrainSpec's devices and strategy give, also on machines with GPUs, which are played here."""

from __future__ import annotations

import json

import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.specs import TrainSpec
from official_vision.training.devices import strategies
from official_vision.training.devices.strategies import make_strategy, shared_batches


def see(monkeypatch, gpus):
    """Shows TensorFlow so many GPUs; a strategy is a tuple of its kind and its devices."""
    visible = [
        tf.config.PhysicalDevice(f"/physical_device:GPU:{number}", "GPU") for number in range(gpus)
    ]
    logical = [tf.config.LogicalDevice(f"/device:GPU:{number}", "GPU") for number in range(gpus)]
    cpus = [tf.config.LogicalDevice(f"/device:CPU:{number}", "CPU") for number in range(2)]
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: visible)
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: logical if kind == "GPU" else cpus
    )
    monkeypatch.setattr(tf.distribute, "OneDeviceStrategy", lambda name: ("one", name))
    monkeypatch.setattr(strategies, "_mirrored", lambda names: ("mirrored", *names))


GPU, CPU = "/device:GPU:%d", "/device:CPU:%d"
ONE_CPU, ONE_GPU = ("one", "device:CPU:0"), ("one", "device:GPU:0")


@pytest.mark.parametrize(
    ("gpus", "settings", "expected"),
    [
        (0, {}, ONE_CPU),
        (1, {}, ONE_GPU),
        (3, {}, ("mirrored", GPU % 0, GPU % 1, GPU % 2)),
        (3, {"devices": "cpu"}, ONE_CPU),
        (3, {"devices": 1}, ONE_GPU),
        (3, {"devices": 2}, ("mirrored", GPU % 0, GPU % 1)),
        (3, {"strategy": "one_device"}, ONE_GPU),
        (1, {"strategy": "mirrored"}, ("mirrored", GPU % 0)),
        (3, {"devices": "cpu", "strategy": "mirrored"}, ("mirrored", CPU % 0, CPU % 1)),
        (0, {"strategy": "mirrored"}, ("mirrored", CPU % 0, CPU % 1)),
    ],
)
def test_the_devices_decide_the_strategy(gpus, settings, expected, monkeypatch):
    see(monkeypatch, gpus)
    assert make_strategy(TrainSpec(**settings)) == expected


@pytest.mark.parametrize(
    ("gpus", "settings", "words"),
    [
        (0, {"devices": 1}, "Received: 1, and it sees no GPU"),
        (1, {"devices": 2}, "Received: 2, and it sees 1 GPU. Set 'auto'"),
        (0, {"strategy": "multi_worker_mirrored", "devices": 8}, "sees no GPU"),
        (2, {"strategy": "one_device", "devices": 3}, "it sees 2 GPUs"),
        (2, {"strategy": "one_device", "devices": 2}, "Set TrainSpec.strategy = 'auto'"),
        (0, {"strategy": "tpu"}, "set 'local' on a machine that has one"),
        (0, {"strategy": "tpu", "devices": "cpu"}, "Leave it at 'auto'"),
    ],
)
def test_devices_that_are_not_there_are_one_line(gpus, settings, words, monkeypatch):
    see(monkeypatch, gpus)
    with pytest.raises(UserError) as raised:
        make_strategy(TrainSpec(**settings))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_process_has_one_mirrored_strategy():
    first, second = (make_strategy(TrainSpec(strategy="mirrored")) for _ in range(2))
    assert first is second


@pytest.mark.parametrize("devices", [0, -1, "gpu", True, 1.0])
def test_devices_are_auto_cpu_or_a_number(devices):
    with pytest.raises(UserError, match=r"TrainSpec\.devices must be"):
        TrainSpec(devices=devices)


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
        make_strategy(TrainSpec(strategy="multi_worker_mirrored"))


def test_one_cpu_reads_the_pipeline_itself_and_waits_for_no_tuning_of_another():
    batches = tf.data.Dataset.range(4).batch(2)
    strategy = make_strategy(TrainSpec(devices="cpu"))
    assert shared_batches(strategy, lambda _: batches) is batches
    replicas = tf.distribute.MirroredStrategy(["CPU:0"])
    shared = shared_batches(replicas, lambda context: batches.take(context.num_input_pipelines))
    assert isinstance(shared, tf.distribute.DistributedDataset)
    assert [x.numpy().tolist() for x in shared] == [[0, 1]]
