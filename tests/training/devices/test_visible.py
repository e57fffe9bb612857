"""GPUs that a run leaves out are hidden before TensorFlow starts, and memory of the others grows."""

from __future__ import annotations

import pytest
import tensorflow as tf

from official_vision.specs import TrainSpec
from official_vision.training.devices.visible import see_devices


@pytest.fixture
def machine(monkeypatch):
    """Three GPUs; returns which of them TensorFlow sees, and on which memory grows."""
    state = {"seen": ["GPU:0", "GPU:1", "GPU:2"], "growing": []}

    def see(devices, kind):
        assert kind == "GPU"
        state["seen"] = list(devices)

    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: state["seen"])
    monkeypatch.setattr(tf.config, "set_visible_devices", see)
    monkeypatch.setattr(
        tf.config.experimental,
        "set_memory_growth",
        lambda device, grows: state["growing"].append(device) if grows else None,
    )
    return state


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        ({}, ["GPU:0", "GPU:1", "GPU:2"]),
        ({"devices": 2}, ["GPU:0", "GPU:1"]),
        ({"devices": 8}, ["GPU:0", "GPU:1", "GPU:2"]),
        ({"devices": "cpu"}, []),
        ({"strategy": "one_device"}, ["GPU:0"]),
        ({"strategy": "multi_worker_mirrored"}, ["GPU:0", "GPU:1", "GPU:2"]),
    ],
)
def test_what_is_used_is_seen_and_grows(settings, seen, machine):
    see_devices(TrainSpec(**settings))
    assert machine == {"seen": seen, "growing": seen}


def test_a_worker_sees_its_share_alone(machine):
    see_devices(TrainSpec(), place=(1, 2))
    assert machine == {"seen": ["GPU:1"], "growing": ["GPU:1"]}


def test_after_tensorflow_has_begun_all_stays_as_it_is(machine, monkeypatch):
    def too_late(*_):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", too_late)
    see_devices(TrainSpec(devices=1))
    assert machine == {"seen": ["GPU:0", "GPU:1", "GPU:2"], "growing": []}


def test_a_run_on_a_tpu_leaves_gpus_alone(machine):
    see_devices(TrainSpec(strategy="tpu"))
    assert machine["growing"] == []
