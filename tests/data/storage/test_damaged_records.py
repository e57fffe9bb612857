"""Damaged records: named by default; masked, counted and named where they are to be skipped."""

import re

import numpy as np
import pytest
import tensorflow as tf

from official_vision.data.input.pipeline import build_dataset, read_index
from official_vision.data.storage.damaged_records import (
    Skipped,
    damage_named,
    or_blank,
    rows_or_blank,
)
from official_vision.data.storage.frame_table import TABLE_SUFFIX
from official_vision.data.storage.index import Index
from official_vision.data.storage.records import record_offsets
from official_vision.errors import UserError
from official_vision.specs import DataSpec

VIDEOS = 6  # two per shard


@pytest.fixture
def split(make_split, stored_videos):
    return make_split(stored_videos(VIDEOS, length=2))


def spec_of(folder, **kwargs):
    return DataSpec(path=str(folder), batch_size=2, frames=2, size=16, **kwargs)


def dataset(folder, index, *, training, skipped=None, **kwargs):
    spec = spec_of(folder, **kwargs)
    return build_dataset(spec, index, ["rgb"], training=training, skipped=skipped)


def flip_byte(path, record):
    """Changes a byte in the middle of a record's content."""
    offsets = [*record_offsets(path), path.stat().st_size]
    content = bytearray(path.read_bytes())
    content[(offsets[record] + offsets[record + 1]) // 2] ^= 255
    path.write_bytes(content)


def cut_short(path):
    """Leaves of the second record its beginning, before the frames of rgb."""
    path.write_bytes(path.read_bytes()[: record_offsets(path)[1] + 100])


def flip_byte_of_table(path):
    flip_byte(path.with_suffix(TABLE_SUFFIX), 1)


def spoil_a_picture(path):
    """Writes the shard anew, its second record with a frame that is no picture."""
    records = [bytes(r) for r in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    example = tf.train.SequenceExample.FromString(records[1])
    example.feature_lists.feature_list["image/encoded"].feature[1].bytes_list.value[0] = b"no JPEG"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in (records[0], example.SerializeToString(deterministic=True)):
            writer.write(record)


# How shard 1 (videos 2 and 3) is damaged, the videos that are lost, and the reason for the last.
DAMAGE = {
    "changed": (lambda path: flip_byte(path, 1), [3], "its checksum or its content is wrong"),
    "cut": (cut_short, [3], "the file ends before it or in it"),
    "missing": (lambda path: path.unlink(), [2, 3], "no such file"),
    "table": (flip_byte_of_table, [3], r"its entry in \S+\.frames cannot be read"),
    "picture": (spoil_a_picture, [3], "frame 1 of rgb cannot be decoded"),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(split, damage, training):
    folder, index = split
    spoil, lost, reason = DAMAGE[damage]
    path = folder / index.shards[1].file
    spoil(path)
    with (
        pytest.raises(UserError) as raised,
        damage_named(folder, index),
        damage_named(folder.parent, index),  # of another split: not its damage
    ):
        for _ in dataset(folder, index, training=training).take(20):
            pass
    match = re.search(rf"Received: 'v(\d)' at byte \d+ of {path}: {reason}\.", str(raised.value))
    assert int(match[1]) in lost


@pytest.mark.parametrize("damage", DAMAGE)
def test_skipped_records_are_masked_and_reported(split, damage):
    folder, index = split
    spoil, lost, reason = DAMAGE[damage]
    path = folder / index.shards[1].file
    byte = record_offsets(path)[1]
    spoil(path)
    spec = spec_of(folder, damaged="skip")
    assert read_index(spec, ["rgb"], 2, "train") == index  # although a shard is not as it was
    skipped = Skipped(folder, index)
    whole = list(dataset(folder, index, training=False, skipped=skipped, damaged="skip"))
    mask = np.concatenate([targets["mask"] for _, targets in whole])
    assert mask.tolist() == [float(n not in lost) for n in range(VIDEOS)]
    greys = np.concatenate([features["rgb"][:, 0, 0, 0, 0] for features, _ in whole])
    assert greys.tolist() == [10 * n * (n not in lost) for n in range(VIDEOS)]
    lines = skipped.news()
    assert re.fullmatch(rf"skipped 'v3' at byte {byte} of {path}: {reason}", lines[-2])
    assert lines[-1] == f"skipped {len(lost)} of 6 records of {folder} so far"
    assert len(lines) == len(lost) + 1
    assert skipped.news() == []


def test_skipping_leaves_the_order_of_training_as_it_was(split):
    folder, index = split
    before = list(dataset(folder, index, training=True).take(12))
    flip_byte(folder / index.shards[1].file, 0)
    after = list(dataset(folder, index, training=True, damaged="skip").take(12))
    lost = 0
    for (clean, targets), (features, targets_after) in zip(before, after, strict=True):
        is_real = targets_after["mask"].numpy() > 0
        np.testing.assert_array_equal(is_real, targets["video"] != 2)
        np.testing.assert_array_equal(features["rgb"][is_real], clean["rgb"][is_real])
        np.testing.assert_array_equal(targets_after["labels"][is_real], targets["labels"][is_real])
        lost += np.sum(~is_real)
    assert lost == 4  # once in each of four epochs


@pytest.mark.parametrize("lost", ["shard", "table"])
def test_a_lost_shard_or_table_is_refused_when_the_index_is_read(split, lost):
    folder, index = split
    file = index.shards[2].file if lost == "shard" else index.shards[2].frames.file
    (folder / file).unlink()
    with pytest.raises(UserError, match=rf"{file}, no such file"):
        read_index(spec_of(folder), ["rgb"], 2, "train")
    assert Index.read(folder, damaged_is_fatal=False) == index


def test_whole_shards_pass(split):
    folder, index = split
    with damage_named(folder, index):
        assert len(list(dataset(folder, index, training=False))) == 3


def test_other_failures_stay_what_they_are(split):
    folder, index = split
    for error in (
        tf.errors.NotFoundError(None, None, "checkpoint"),
        tf.errors.InvalidArgumentError(None, None, "shapes"),
        KeyError("x"),
    ):
        with pytest.raises(type(error)), damage_named(folder, index):
            raise error


def test_or_blank_gives_what_is_made_or_zeros():
    empty = tf.data.Dataset.range(0)

    def make(denominator):
        one = tf.debugging.check_numerics(1 / denominator, "infinite")
        return {"one": one, "text": tf.repeat("a", tf.cast(denominator, tf.int32))}

    made = or_blank(lambda: make(tf.constant(2.0)))
    assert (float(made["one"]), made["text"].numpy().tolist()) == (0.5, [b"a", b"a"])
    made = or_blank(lambda: make(tf.constant(0.0)))
    assert (float(made["one"]), made["text"].numpy().tolist()) == (0.0, [])
    assert int(or_blank(empty.get_single_element)) == 0


@pytest.mark.parametrize("failing", [(), (1,), (0, 2, 3), (0, 1, 2, 3)])
def test_rows_that_fail_are_blank_and_the_others_stay_in_their_places(failing):
    def make(number, text):
        sound = tf.reduce_all(tf.constant([-1, *failing], tf.int64) != number)
        one = tf.debugging.check_numerics(1 / tf.cast(sound, tf.float32), "infinite")
        return {"ten": tf.fill([2], 10 * number), "bytes": tf.cast(one, tf.uint8), "text": text}

    @tf.function
    def rows():
        made = rows_or_blank(make, 4, tf.range(4, dtype=tf.int64), tf.constant(list("abcd")))
        assert [x.shape.as_list() for x in made.values()] == [[4, 2], [4], [4]]
        return made

    made = rows()
    whole = [number not in failing for number in range(4)]
    assert made["ten"].numpy().tolist() == [[10 * n * whole[n]] * 2 for n in range(4)]
    assert made["bytes"].numpy().tolist() == whole
    assert made["text"].numpy().tolist() == [b"abcd"[n : n + 1] * whole[n] for n in range(4)]
