"""The first line of a run, and the warnings below it."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
import tensorflow as tf

from official_vision.specs import TrainSpec
from official_vision.training.devices import description
from official_vision.training.devices.description import devices_lines
from official_vision.training.devices.strategies import make_strategy
from official_vision.training.devices.threads import threads_in_force


@pytest.fixture(autouse=True)
def no_driver(monkeypatch):
    """The machine of the tests may have a driver of NVIDIA's."""
    monkeypatch.setattr(description, "_DRIVER_FILES", ())
    monkeypatch.setattr(description, "_DRIVER_COMMAND", "no such command")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def lines(**settings):
    train = TrainSpec(**settings)
    return devices_lines(make_strategy(train), train)


def on_gpus(monkeypatch, used, there, **settings):
    """The lines of a run on `used` of `there` GPUs, of which TensorFlow is made to tell."""
    gpus = [tf.config.PhysicalDevice(f"/physical_device:GPU:{n}", "GPU") for n in range(there)]
    strategy = tf.distribute.OneDeviceStrategy("cpu:0")
    names = tuple(f"/device:GPU:{n}" for n in range(used)) or ("/device:CPU:0",)
    extended = types.SimpleNamespace(worker_devices=names)
    played = types.SimpleNamespace(
        extended=extended, cluster_resolver=None, scope=strategy.scope, num_replicas_in_sync=used
    )
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: gpus)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: gpus[:used])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda _: {"device_name": "NVIDIA H100"}
    )
    return devices_lines(played, TrainSpec(**settings))


def test_a_cpu_with_its_threads_precision_and_compilation():
    count = threads_in_force()
    threads = f"{count} thread{'s' if count > 1 else ''} per operation"
    assert lines() == [f"devices: the CPU, {threads}, float32"]
    compiled = lines(compiled=True, precision="mixed_bfloat16")
    assert compiled == [f"devices: the CPU, {threads}, mixed_bfloat16, XLA"]
    slow = lines(precision="mixed_float16")
    assert [line.split("'")[1] for line in slow[1:]] == ["mixed_float16"]


def test_gpus_are_counted_and_named(monkeypatch):
    (line,) = on_gpus(monkeypatch, 2, 2, precision="mixed_bfloat16", compiled=True)
    assert line == "devices: 2 x NVIDIA H100, mixed_bfloat16, XLA"
    (line,) = on_gpus(monkeypatch, 1, 1, precision="mixed_float16")
    assert line == "devices: 1 x NVIDIA H100, mixed_float16"


@pytest.mark.parametrize(
    ("used", "settings", "words"),
    [
        (0, {"devices": "cpu"}, "2 of 2 GPUs are idle, by TrainSpec.devices = 'cpu'"),
        (1, {"strategy": "one_device"}, "1 of 2 GPUs is idle, by TrainSpec.devices = 'auto'"),
    ],
)
def test_idle_gpus_are_reported(used, settings, words, monkeypatch):
    _, warning = on_gpus(monkeypatch, used, 2, **settings)
    assert warning.startswith(f"warning: {words}")
    assert warning.endswith("'auto' for both uses all")


def test_gpus_that_tensorflow_cannot_use_are_reported_with_the_remedy(monkeypatch, tmp_path):
    device = tmp_path / "nvidia0"
    device.touch()
    monkeypatch.setattr(description, "_DRIVER_FILES", (tmp_path / "missing", device))
    (_, warning) = lines()
    assert warning.startswith(f"warning: this machine seems to have NVIDIA GPUs ({device}), but")
    assert "could not load CUDA's libraries: pip install 'official-vision[gpu]'" in warning
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: False)
    assert "has no CUDA: pip install 'official-vision[gpu]'" in lines()[1]
    assert len(lines(devices="cpu")) == 1  # the user wants it so
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert len(lines()) == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert len(lines()) == 2
    device.unlink()
    assert len(lines()) == 1
    command = tmp_path / "nvidia-smi"
    command.touch(mode=0o755)
    monkeypatch.setattr(description, "_DRIVER_COMMAND", str(command))
    assert str(command) in lines()[1]


def test_the_command_that_mends_it_is_an_extra_with_cuda():
    project = (Path(__file__).resolve().parents[3] / "pyproject.toml").read_text()
    (line,) = [line for line in project.splitlines() if line.startswith("gpu = ")]
    assert "tensorflow[and-cuda]" in line
    assert "official-vision[gpu]" in description._MEND
