"""Apache Beam writes shards: the same ones whatever runs it, with progress seen and failures reported."""

import builtins
import dataclasses
import time
from pathlib import Path

import pytest

from official_vision.data.annotations.manifest import Manifest, VideoRow
from official_vision.data.prepare import beam
from official_vision.data.prepare.preparation import prepare_split
from official_vision.data.prepare.shard_task import ShardTask
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec


@pytest.fixture
def spec(footage, tmp_path):
    return PrepareSpec(
        annotations="a",
        videos=str(footage["carphone_pristine"].parent),
        output=str(tmp_path / "local"),
        short_side=32,
        objects="none",
        videos_per_shard=2,
    )


@pytest.fixture(scope="module")
def manifest():
    """Three spans of a real video, and a video that is not there."""
    rows = [
        VideoRow(f"v{n}", "carphone_pristine.mp4", "train", (), n / 5, n / 5 + 0.2)
        for n in range(3)
    ]
    return Manifest((), (*rows, VideoRow("none", "none.mp4", "train", ())))


def output_of(spec):
    return {path.name: path.read_bytes() for path in Path(spec.output, "train").iterdir()}


@pytest.mark.slow
def test_threads_and_processes_of_beam_write_the_same_bytes(spec, manifest, tmp_path):
    pytest.importorskip("apache_beam")
    local = prepare_split(manifest, "train", spec, lambda: None)
    other = dataclasses.replace(
        spec,
        output=str(tmp_path / "beam"),
        runner_options=("--direct_running_mode=multi_processing",),
    )
    ticks = []
    index = prepare_split(manifest, "train", other, lambda: ticks.append(1))
    assert index == local
    assert len(ticks) == 4
    assert [item.id for item in index.left_out] == ["none"]
    assert output_of(other) == output_of(spec)


def test_the_users_options_override_those_of_the_direct_runner():
    pytest.importorskip("apache_beam")
    from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

    spec = PrepareSpec(runner="DirectRunner", workers=3)
    options = PipelineOptions(beam._default_options(spec, 9)).view_as(DirectOptions)
    assert (options.direct_num_workers, options.direct_running_mode) == (3, "multi_threading")
    options = [*beam._default_options(spec, 9), "--direct_num_workers=5"]
    assert PipelineOptions(options).view_as(DirectOptions).direct_num_workers == 5
    assert beam._default_options(PrepareSpec(runner="FlinkRunner"), 9) == []
    # No more threads than shards: a number of workers beyond all measure starts none in vain.
    assert "--direct_num_workers=2" in beam._default_options(spec, 2)


def test_progress_is_seen_while_the_runner_runs(tmp_path, monkeypatch):
    """A shard counts as soon as its report appears, each of its videos once, and never twice."""
    monkeypatch.setattr(beam, "_WATCH_INTERVAL_SEC", 0.01)
    rows = tuple((n, VideoRow(f"v{n}", "v.mp4", "train", ())) for n in range(3))
    tasks = [ShardTask(str(tmp_path / f"{n}.tfrecord"), rows, (), PrepareSpec()) for n in range(3)]
    ticks, finished = [], set()
    monkeypatch.setattr(beam, "read_report", lambda task: task.path in finished)
    with beam._watched(tasks, lambda: ticks.append(1)):
        time.sleep(0.1)
        assert not ticks
        finished.add(tasks[1].path)
        deadline = time.monotonic() + 20
        while len(ticks) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(ticks) == 3
        finished.update(task.path for task in tasks)
    assert len(ticks) == 9


def test_videos_stored_here_are_seen_before_their_shard(tmp_path, monkeypatch):
    """A video counted when it is stored is not counted again with its shard."""
    monkeypatch.setattr(beam, "_WATCH_INTERVAL_SEC", 0.01)
    rows = tuple((n, VideoRow(f"v{n}", "v.mp4", "train", ())) for n in range(3))
    task = ShardTask(str(tmp_path / "0.tfrecord"), rows, (), PrepareSpec())
    ticks, finished = [], set()
    monkeypatch.setattr(beam, "read_report", lambda task: task.path in finished)
    with beam._watched([task], lambda: ticks.append(1)) as count_video:
        count_video(task)
        count_video(task)
        assert len(ticks) == 2
        finished.add(task.path)
    assert len(ticks) == 3


@pytest.mark.parametrize("name", ["Nope", "no.such.Runner", "apache_beam.Nope"])
def test_unknown_runners_are_named(spec, manifest, name):
    pytest.importorskip("apache_beam")
    with pytest.raises(UserError, match=rf"must be a runner.*Received: '{name}'"):
        prepare_split(manifest, "train", dataclasses.replace(spec, runner=name), lambda: None)


def test_without_beam_the_extra_is_named(monkeypatch, spec, manifest):
    real = builtins.__import__

    def without_beam(name, *args, **kwargs):
        if name == "apache_beam":
            raise ImportError("No module named 'apache_beam'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_beam)
    with pytest.raises(UserError, match=r"pip install apache-beam"):
        beam._beam()
    with pytest.raises(UserError, match="needs Apache Beam"):
        prepare_split(
            manifest, "train", dataclasses.replace(spec, runner="FlinkRunner"), lambda: None
        )
