"""Preparation as functions: plans, resumption, refusals, and results that hang on the videos alone."""

import dataclasses
import errno
import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import tensorflow as tf

from official_vision import formats
from official_vision.data.annotations.manifest import Label, Manifest, VideoRow
from official_vision.data.annotations.reading import read_manifest
from official_vision.data.prepare import beam, shard_task
from official_vision.data.prepare import preparation as prepare
from official_vision.data.prepare.decoding_worker import DecodingFailedError
from official_vision.data.storage.frame_encoding import EncodedVideo
from official_vision.data.storage.frame_file import append_frame
from official_vision.data.storage.index import Index, Labelling, StatedTimes, VideoNote
from official_vision.data.storage.shard import decode_frame, parse
from official_vision.data.storage.shard_writer import ShardWriter
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec

CLASSES = ("a", "b")
STREAMS = ("rgb", "flow", "objects")


class FakeWorker:
    """Encodes a video as its name; names in `broken` fail."""

    broken: frozenset = frozenset()
    times_sec: tuple = (0.0, 0.04, 0.08)
    notes: MappingProxyType = MappingProxyType({})
    seen: list

    def __init__(self):
        self.seen = FakeWorker.log

    def encode(self, row, _, folder):
        self.seen.append(row.id)
        if row.id in self.broken:
            raise DecodingFailedError(f"{row.path}: broken.")
        with open(folder / "frames", "wb") as file:
            for _ in range(2):
                append_frame(file, {"rgb": row.id.encode()})
        return EncodedVideo(25.0, self.times_sec, folder / "frames", 0.08, self.notes, 0)

    def close(self):
        pass


@pytest.fixture
def fake(monkeypatch):
    FakeWorker.log, FakeWorker.broken = [], frozenset()
    monkeypatch.setattr(beam, "DecodingWorker", FakeWorker)
    return FakeWorker


@pytest.fixture
def spec(tmp_path):
    return PrepareSpec(
        annotations="a.csv",
        output=str(tmp_path / "out"),
        videos_per_shard=3,
        flow="none",
        objects="none",
    )


def manifest(count=8, split="train"):
    rows = tuple(
        VideoRow(f"v{n}", f"v{n}.mp4", split, (Label(n % 2),), length_sec=n) for n in range(count)
    )
    return Manifest(CLASSES, rows)


def run(spec, content=None, ticks=None):
    ticks = [] if ticks is None else ticks
    return prepare.prepare_split(content or manifest(), "train", spec, lambda: ticks.append(1))


def output_of(spec):
    folder = prepare.Path(spec.output) / "train"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def records(spec):
    folder = prepare.Path(spec.output) / "train"
    paths = [str(folder / shard.file) for shard in Index.read(folder).shards]
    return [parse(record, ("rgb",)) for record in tf.data.TFRecordDataset(paths)]


@pytest.mark.usefixtures("fake")
def test_videos_lie_in_shards_in_the_order_of_the_file(spec):
    index = run(spec)
    assert [shard.count for shard in index.shards] == [3, 3, 2]
    assert index.shards[0].file == "shard-00000-of-00003.tfrecord"
    assert index.videos == tuple(f"v{n}" for n in range(8))
    assert index == Index.read(prepare.Path(spec.output) / "train")
    stored = records(spec)
    assert [int(record["video"]) for record in stored] == list(range(8))
    assert [record["rgb"].numpy().tolist() for record in stored] == [
        [b"v%d" % n] * 2 for n in range(8)
    ]
    assert [record["label_index"].numpy().tolist() for record in stored] == [
        [n % 2] for n in range(8)
    ]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.usefixtures("fake")
def test_the_number_of_workers_changes_nothing(spec, tmp_path, workers):
    run(spec)
    other = dataclasses.replace(spec, workers=workers, output=str(tmp_path / "other"))
    run(other)
    assert output_of(spec) == output_of(other)


def test_finished_shards_are_kept_and_the_rest_is_done(fake, spec):
    run(spec)
    expected = output_of(spec)
    folder = prepare.Path(spec.output) / "train"
    (folder / "shard-00001-of-00003.tfrecord").unlink()  # lost
    path = folder / "shard-00002-of-00003.tfrecord"
    path.write_bytes(path.read_bytes()[:-3])  # cut short
    (folder / "index.json").unlink()
    (folder / ".partial-abc.tfrecord").write_text("left by a run that was killed")
    (folder / ".partial-xyz").mkdir()
    (folder / ".partial-xyz" / "frames").write_text("likewise")
    fake.log.clear()
    ticks = []
    run(spec, ticks=ticks)
    assert sorted(fake.log) == [f"v{n}" for n in range(3, 8)]
    assert len(ticks) == 8
    assert output_of(spec) == expected


def test_a_shard_without_its_report_is_done_again(fake, spec):
    """A run may be killed between the two renames."""
    run(spec)
    expected = output_of(spec)
    (prepare.Path(spec.output) / "train" / "shard-00000-of-00003.json").unlink()
    fake.log.clear()
    run(spec)
    assert sorted(fake.log) == ["v0", "v1", "v2"]
    assert output_of(spec) == expected


def test_broken_videos_are_left_out_and_tried_again(fake, spec, tmp_path):
    fake.broken = frozenset({"v1", "v6", "v7"})
    index = run(spec)
    assert index.stated_times == tuple(StatedTimes(f"v{n}", n, ()) for n in range(8))
    assert [(item.id, item.reason) for item in index.left_out] == [
        (name, f"{name}.mp4: broken.") for name in ("v1", "v6", "v7")
    ]
    assert index.videos == ("v0", "v2", "v3", "v4", "v5")
    assert [shard.count for shard in index.shards] == [2, 3]  # an empty shard is not listed
    assert [int(record["video"]) for record in records(spec)] == [0, 2, 3, 4, 5]
    fake.broken, fake.log[:] = frozenset(), []
    assert run(spec).left_out == ()  # the videos were mended
    assert sorted(fake.log) == ["v0", "v1", "v2", "v6", "v7"]
    undisturbed = dataclasses.replace(spec, output=str(tmp_path / "undisturbed"))
    run(undisturbed)
    assert output_of(spec) == output_of(undisturbed)


def test_left_out_videos_can_be_fatal(fake, spec):
    fake.broken = frozenset({"v1"})
    index = run(dataclasses.replace(spec, left_out_is_fatal=True))
    assert [item.id for item in index.left_out] == ["v1"]
    assert not (prepare.Path(spec.output) / "train" / "index.json").exists()


def test_an_index_of_an_earlier_run_does_not_outlive_a_fatal_one(fake, spec):
    fake.broken = frozenset({"v1"})
    run(spec)
    run(dataclasses.replace(spec, left_out_is_fatal=True))
    assert not (prepare.Path(spec.output) / "train" / "index.json").exists()


def test_nothing_prepared_is_a_mistake(fake, spec):
    fake.broken = frozenset(f"v{n}" for n in range(8))
    with pytest.raises(UserError, match=r"no video could be prepared of 8\. .*v0\.mp4: broken"):
        run(spec)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"short_side": 64}, "short_side"),
        ({"fps": 5.0, "jpeg_quality": 50}, "fps, jpeg_quality"),
        ({"videos_per_shard": 4}, "videos_per_shard"),
    ],
)
@pytest.mark.usefixtures("fake")
def test_other_settings_into_the_same_output_are_refused(spec, change, named):
    run(spec)
    before = output_of(spec)
    with pytest.raises(UserError, match=rf"out/train, whose shards differ in {named}\."):
        run(dataclasses.replace(spec, **change))
    assert output_of(spec) == before


@pytest.mark.usefixtures("fake")
def test_a_plan_of_another_form_is_refused(spec):
    run(spec)
    path = Path(spec.output) / "train" / "plan.json"
    formats.PREPARATION.write(path, {"settings": 3, "videos": "a"})
    with pytest.raises(UserError, match=r"form in which it was written\. Received: \S*plan"):
        run(spec)
    for content in ("[1]", "{}"):
        path.write_text(content)
        with pytest.raises(UserError, match=r"must have format .* Received: \S*plan"):
            run(spec)


def test_a_shard_whose_report_has_another_version_is_written_again(fake, spec):
    run(spec)
    before = output_of(spec)
    path = Path(spec.output) / "train" / "shard-00001-of-00003.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 0'))
    fake.log.clear()
    run(spec)
    assert fake.log == ["v3", "v4", "v5"]
    assert output_of(spec) == before


@pytest.mark.usefixtures("fake")
def test_other_videos_into_the_same_output_are_refused(spec):
    run(spec)
    with pytest.raises(UserError, match="differ in the list of videos and labels"):
        run(spec, manifest(9))
    relabelled = dataclasses.replace(manifest(), classes=("b", "a"))
    with pytest.raises(UserError, match="differ in the list of videos and labels"):
        run(spec, relabelled)


@pytest.mark.parametrize(
    "change",
    [
        {"workers": 5},
        {"video_timeout_sec": 3.0},
        {"left_out_is_fatal": True},
        {"runner": "FlinkRunner"},
    ],
)
@pytest.mark.usefixtures("fake")
def test_settings_without_effect_may_change(spec, change):
    run(spec)
    before = output_of(spec)
    run(dataclasses.replace(spec, **change))
    assert output_of(spec) == before


@pytest.mark.usefixtures("fake")
def test_a_foreign_failure_ends_the_run_and_leaves_nothing_half_written(spec, monkeypatch):
    encode = FakeWorker.encode

    def fail(self, row, settings, folder):
        if row.id == "v4":
            raise MemoryError
        return encode(self, row, settings, folder)

    monkeypatch.setattr(FakeWorker, "encode", fail)
    with pytest.raises(MemoryError):
        run(spec)
    assert not [name for name in output_of(spec) if name.startswith(".partial-")]
    assert "index.json" not in output_of(spec)


@pytest.mark.parametrize("of_tensorflow", [False, True])
@pytest.mark.usefixtures("fake")
def test_a_full_disk_ends_the_run_in_one_line(spec, monkeypatch, of_tensorflow):
    def full(*_):
        words = "No space left on device"
        if of_tensorflow:
            raise tf.errors.ResourceExhaustedError(None, None, f"shard; {words}")
        raise OSError(errno.ENOSPC, words)

    monkeypatch.setattr(*(ShardWriter, "append") if of_tensorflow else (FakeWorker, "encode"), full)
    with pytest.raises(UserError, match=r"hold the shards.*0000\d-of-00003\S+ \(No space left"):
        run(spec)
    assert not [name for name in output_of(spec) if name.startswith((".partial-", "shard-"))]


def test_the_index_says_how_its_videos_are_labelled(fake, spec, monkeypatch):
    """Not those that were left out, nor by labels beside the stored part of a video."""
    fake.broken = frozenset(["v0"])
    monkeypatch.setattr(fake, "times_sec", (0.0, 2.0, 4.0))
    labels = {
        "v0": (),
        "v1": (Label(0), Label(1, 5.0, 6.0)),
        "v2": (Label(0), Label(1)),
        "v3": (Label(1, 1.0, 3.0),),
        "v4": (Label(1, 5.0, 6.0),),
        "v5": (Label(1, 0.0, 3.95),),
    }
    rows = tuple(
        VideoRow(n, f"{n}.mp4", "train", row_labels, 0.0, 4.0) for n, row_labels in labels.items()
    )
    index = run(spec, Manifest(CLASSES, rows))
    assert index.labelling == Labelling(without="v4", several="v2", timed="v3")
    # The shards are there already, and have their videos' lengths.
    assert run(spec, Manifest(CLASSES, rows)).labelling == index.labelling
    assert fake.log.count("v5") == 1
    assert index.num_object_ids == 0


@pytest.mark.usefixtures("fake")
def test_what_preparation_passed_over_is_kept_with_labels_past_the_end(spec, monkeypatch):
    """The fake's videos last 0.08 s; a label may end a tenth of a second later."""
    monkeypatch.setattr(FakeWorker, "notes", {"broken_packets": "1 of 3 packets"})
    labels = (Label(0, 0.0, 0.18), Label(1, 0.05, 0.5), Label(1, 2.0))
    index = run(spec, Manifest(CLASSES, (VideoRow("v", "v.mp4", "train", labels),)))
    late = "labels_past_end"
    notes = [
        ("broken_packets", "1 of 3 packets"),
        (late, "'b' from 0.05 s to 0.5 s ends after the video, 0.08 s"),
        (late, "'b' from 2 s ends after the video, 0.08 s"),
    ]
    expected = tuple(VideoNote("v", "v.mp4", *note) for note in notes)
    assert index.notes == expected
    assert (
        run(spec, Manifest(CLASSES, (VideoRow("v", "v.mp4", "train", labels),))).notes == expected
    )
    (record,) = records(spec)
    np.testing.assert_allclose(record["times"], [0, 0.04, 0.08])


@pytest.mark.usefixtures("fake")
def test_more_broken_packets_may_be_allowed_later(spec):
    """A larger share changes nothing for videos that are prepared; one that was left out is tried again."""
    FakeWorker.broken = frozenset({"v4"})
    assert run(spec).num_videos == 7
    FakeWorker.broken, FakeWorker.log[:] = frozenset(), []
    index = run(dataclasses.replace(spec, broken_packet_share=0.1))
    assert index.left_out == ()
    assert FakeWorker.log == ["v3", "v4", "v5"]
    assert index.settings["broken_packet_share"] == 0.1


def test_annotations_and_output_must_be_named(tmp_path):
    for missing in (PrepareSpec(output="x"), PrepareSpec(annotations="x")):
        with pytest.raises(UserError, match="must be set"):
            read_manifest(missing)
    with pytest.raises(UserError, match=r"no\.csv"):
        read_manifest(PrepareSpec(annotations=str(tmp_path / "no.csv"), output="x"))


def test_real_videos_become_what_they_show(footage, tmp_path):
    """Two spans through the true decoder: sizes, rates, streams and versions."""
    rows = tuple(
        VideoRow(name, f"{name}.mp4", "train", (), 0.5, 0.9)
        for name in ("bikes", "carphone_pristine")
    )
    spec = PrepareSpec(
        annotations="a",
        videos=str(footage["bikes"].parent),
        output=str(tmp_path),
        short_side=48,
        flow_bound=10.0,
    )
    index = prepare.prepare_split(Manifest(CLASSES, rows), "train", spec, lambda: None)
    assert index.streams == STREAMS
    assert index.object_classes[0] == "none"
    assert set(index.versions) == {"av", "opencv-python-headless"}
    assert index.settings["short_side"] == 48
    assert "workers" not in index.settings
    shown = []
    (path,) = tmp_path.glob("train/*.tfrecord")
    sizes = [(48, 113, 10), (48, 64, 12)]
    for record, (height, width, count) in zip(
        tf.data.TFRecordDataset(str(path)), sizes, strict=True
    ):
        values = parse(record, STREAMS)
        assert float(values["flow_bound"]) == 10.0
        for stream in STREAMS:
            assert len(values[stream]) == count
            frame = decode_frame(values[stream][0], stream, values["flow_bound"])
            assert frame.shape[:2] == (height, width)
        shown += [decode_frame(x, "objects", 1.0).numpy() for x in values["objects"]]
    ids = np.unique(np.concatenate([x.ravel() for x in shown]))
    assert index.stored_object_ids == ids[ids < 255].max() + 1
    assert np.isclose(float(values["fps"]), 29.97, atol=0.01)


def test_reports_name_what_is_there(fake, spec):
    fake.broken = frozenset({"v1"})
    run(spec)
    task = prepare.plan_shards(manifest(), "train", spec)[0]
    report = shard_task.read_report(task)
    assert report.videos == ("v0", "v2")
    assert [item.id for item in report.left_out] == ["v1"]
    assert shard_task.finished_report(task) is None
    values = json.loads(prepare.Path(task.path).with_suffix(".json").read_text())
    assert values["entry"]["bytes"] == prepare.Path(task.path).stat().st_size
