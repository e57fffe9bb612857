"""Clips of the validation data in a run's folder: the same clips, few bytes, written once, damage named."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from official_vision.data.input.pipeline import build_dataset
from official_vision.data.optical_flow import quantise
from official_vision.data.storage.index import Index
from official_vision.data.storage.shard_writer import StoredVideo
from official_vision.errors import UserError
from official_vision.training.run_folder.held_out_clips import (
    CLIPS_FOLDER,
    SOURCE_FILE,
    _around_middle_clip,
    read_stored_clips,
    store_clips,
)
from tests.data.records import write_shard
from tests.training import runs

LENGTHS = (30, 2, 11, 12, 13, 29, 7, 30)
SEGMENT = 3


def frames_of(number, length):
    """Frames and flows of a video, all different."""
    random = np.random.default_rng(number)
    encoded = {name: [] for name in runs.STREAMS}
    for _ in range(length):
        rgb, ids = random.integers(0, 256, (20, 24, 3)), random.integers(0, 4, (20, 24))
        codes = quantise(random.normal(0, 3, (20, 24, 2)).astype(np.float32), 20.0)
        stacked = np.concatenate([codes[..., 0], codes[..., 1]])
        for name, suffix, picture in zip(
            runs.STREAMS, (".jpg", ".png", ".png"), (rgb, stacked, ids), strict=True
        ):
            picture = picture.astype(np.uint8)
            encoded[name].append(cv2.imencode(suffix, picture)[1].tobytes())
    return encoded


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """Videos of many lengths, with a label for a part of each, in segments that clips cross."""
    folder = tmp_path_factory.mktemp("data") / "validation"
    index = runs.write_split(folder, [0, 1])
    videos = [
        StoredVideo(
            f"vidéo {number}",
            number,
            25.0,
            [(number % 4, runs.CLASSES[number % 4], 0.2, 0.5), (3, "grey", 0.0, 0.3)],
            15.0 + number,
            frames_of(number, length),
        )
        for number, length in enumerate(LENGTHS)
    ]
    (shard,) = index.shards
    entry = write_shard(folder / shard.file, videos, SEGMENT)
    names = tuple(video.id for video in videos)
    index = dataclasses.replace(index, shards=(entry,), videos=names, segment_frames=SEGMENT)
    index.write(folder)
    return folder


def settings(split, **changed):
    """A run's settings, whose validation data are the split."""
    config = runs.config(split.parent, "", "small", **changed)
    data = dataclasses.replace(
        config.validation_data, batch_size=1, size=16, label_rule="half_overlap"
    )
    return dataclasses.replace(config, validation_data=data)


def store(folder, split, **changed):
    return store_clips(folder, settings(split, **changed), Index.read(split), runs.STREAMS)


def clips_in(path, index, config):
    """Features and labels of every video's middle clip."""
    data = dataclasses.replace(config.validation_data, path=str(path))
    return list(build_dataset(data, index, runs.STREAMS, training=False).as_numpy_iterator())


@pytest.mark.parametrize(
    ("frames", "stride", "short_video"), [(4, 1, "loop"), (4, 3, "hold"), (3, 5, "loop")]
)
def test_middle_clips_and_their_labels_are_those_of_the_data(
    split, frames, stride, short_video, tmp_path
):
    changed = {"frames": frames, "frame_stride": stride, "short_video": short_video}
    assert store(tmp_path, split, **changed) == []
    config, stored = settings(split, **changed), read_stored_clips(tmp_path)
    assert stored.index.videos == Index.read(split).videos
    expected = clips_in(split, Index.read(split), config)
    actual = clips_in(stored.folder, stored.index, config)
    assert len(actual) == len(expected) == len(LENGTHS)
    for (features, targets), (same_features, same_targets) in zip(expected, actual, strict=True):
        for name in runs.STREAMS:
            np.testing.assert_array_equal(same_features[name], features[name])
        for name in ("labels", "mask", "video"):
            np.testing.assert_array_equal(same_targets[name], targets[name])
    labels = np.concatenate([targets["labels"] for _, targets in actual])
    assert 0 < labels.sum() < 2 * len(LENGTHS)  # times decide
    # Of a long video no more than the clip and a step less one on either side.
    extent = (frames - 1) * stride + 1
    assert stored.index.shards[0].frames[0] == extent + 2 * (stride - 1)


def test_what_is_cut_has_the_same_middle_clip_for_every_length():
    usual = runs.config(Path(), "", "small").validation_data
    for length in range(1, 40):
        for frames in (1, 2, 5):
            for stride in (1, 2, 3, 4):
                data = dataclasses.replace(usual, frames=frames, frame_stride=stride)
                first, count = _around_middle_clip(length, data)
                extent = (frames - 1) * stride + 1
                whole = round(max(0, length - extent) / 2)
                cut = round(max(0, count - extent) / 2)
                assert first + cut == whole
                # It reads up to the flow of its last step.
                assert min(whole + frames * stride, length) <= first + count <= length


def test_as_many_as_fit_are_stored_evenly_spread(split, tmp_path):
    assert store(tmp_path, split, held_out_clips=3) == []
    assert read_stored_clips(tmp_path).index.videos == ("vidéo 0", "vidéo 4", "vidéo 7")
    size = (tmp_path / CLIPS_FOLDER / "clips.tfrecord").stat().st_size
    (note,) = store(tmp_path, split, held_out_megabytes=size / 1e6)
    stored = read_stored_clips(tmp_path)
    assert f"{stored.index.num_videos} of 8 held-out clips" in note
    assert 2 <= stored.index.num_videos < 5
    assert {"vidéo 0", "vidéo 7"} <= set(stored.index.videos)
    assert stored.index.shards[0].bytes < 1.1 * size
    (note,) = store(tmp_path, split, held_out_megabytes=1e-4)
    assert "0 of 8 held-out clips" in note
    assert not (tmp_path / CLIPS_FOLDER).exists()


def test_they_are_written_once_and_anew_where_they_are_damaged_or_others(split, tmp_path):
    def written():
        path = tmp_path / CLIPS_FOLDER / "clips.tfrecord"
        return path.read_bytes(), path.stat().st_ino

    store(tmp_path, split)
    content, node = written()
    store(tmp_path, split)
    assert written() == (content, node)
    (tmp_path / CLIPS_FOLDER / "clips.tfrecord").write_bytes(content[:-1])
    store(tmp_path, split)
    assert written()[0] == content
    node = written()[1]
    store(tmp_path, split, frames=2)
    assert written()[0] != content
    assert read_stored_clips(tmp_path).source.frames == 2
    assert store(tmp_path, split, held_out_clips=0) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("clips.tfrecord", None, "no such file"),
        ("clips.tfrecord", b"other", "whose content is another"),
        ("index.json", None, "No such file"),
        ("index.json", b"{}", "must have format official_vision.shards"),
        (SOURCE_FILE, None, "No such file"),
        (SOURCE_FILE, b"[", "must be JSON"),
        (SOURCE_FILE, b"{}", "must have format official_vision.held_out_clips, version 1"),
    ],
)
def test_damage_is_one_line_that_names_the_file(split, tmp_path, name, content, words):
    store(tmp_path, split)
    path = tmp_path / CLIPS_FOLDER / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=words) as raised:
        read_stored_clips(tmp_path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_source_that_lacks_a_field_is_named(split, tmp_path):
    store(tmp_path, split)
    path = tmp_path / CLIPS_FOLDER / SOURCE_FILE
    values = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in values.items() if k != "fingerprint"}))
    with pytest.raises(UserError, match=rf"{SOURCE_FILE} \(no 'fingerprint'\)"):
        read_stored_clips(tmp_path)


def test_damaged_data_are_named_or_passed_over(split, tmp_path):
    index = Index.read(split)
    (shard,) = index.shards
    copy = tmp_path / "validation"
    copy.mkdir()
    content = bytearray((split / shard.file).read_bytes())
    content[shard.offsets[5] + 40] ^= 255  # in the middle of the first video
    (copy / shard.file).write_bytes(content)
    index.write(copy)
    with pytest.raises(UserError, match=r"'vidéo 0' at byte .*its checksum") as raised:
        store(tmp_path / "run", copy)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()
    (note,) = store(tmp_path / "run", copy, damaged="skip")
    assert "7 of 8" in note
    assert read_stored_clips(tmp_path / "run").index.videos == index.videos[1:]
