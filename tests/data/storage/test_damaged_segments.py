"""Damaged segments: named by default; masked, counted and named where they are to be skipped."""

import dataclasses
import itertools
import re

import numpy as np
import pytest
import tensorflow as tf

from official_vision.data.input.pipeline import build_dataset, read_index
from official_vision.data.storage.damaged_segments import (
    Skipped,
    damage_named,
    or_blank,
    rows_or_blank,
)
from official_vision.data.storage.index import Index
from official_vision.errors import UserError
from official_vision.specs import DataSpec
from tests.data.records import records_in

VIDEOS = 6  # two per shard


@pytest.fixture
def split(make_split, stored_videos):
    return make_split(stored_videos(VIDEOS, length=4))


def spec_of(folder, **kwargs):
    return DataSpec(path=str(folder), batch_size=2, frames=4, size=16, **kwargs)


def dataset(folder, index, *, training, skipped=None, **kwargs):
    spec = spec_of(folder, **kwargs)
    return build_dataset(spec, index, ["rgb"], training=training, skipped=skipped)


def flip_byte(path, number):
    """Changes a byte in the middle of a segment's content."""
    offsets = offsets_of(path)
    content = bytearray(path.read_bytes())
    content[(offsets[number] + offsets[number + 1]) // 2] ^= 255
    path.write_bytes(content)


def offsets_of(path):
    """The bytes at which a shard's segments begin, and its size."""
    return [0, *itertools.accumulate(16 + len(record) for record in records_in(path))]


def cut_short(path):
    """Leaves of the last segment its beginning, before the frames of rgb."""
    path.write_bytes(path.read_bytes()[: offsets_of(path)[-2] + 100])


def change_rgb(change):
    """Writes a shard anew, the frames of rgb of its last segment changed."""

    def spoil(path):
        *records, last = records_in(path)
        example = tf.train.SequenceExample.FromString(last)
        change(example.feature_lists.feature_list["image/encoded"].feature)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in (*records, example.SerializeToString(deterministic=True)):
                writer.write(record)

    return spoil


@change_rgb
def spoil_a_picture(frames):
    frames[0].bytes_list.value[0] = b"no JPEG"


@change_rgb
def drop_a_picture(frames):
    del frames[:]


# How shard 1 (videos 2 and 3, of two segments each) is damaged, the videos that are lost, the segment that is named
# of the last one, and the reason.
DAMAGE = {
    "changed": (lambda path: flip_byte(path, 2), [3], 2, "its checksum or its content is wrong"),
    "cut": (cut_short, [3], 3, "the file ends before it or in it"),
    "missing": (lambda path: path.unlink(), [2, 3], 2, "no such file"),
    "picture": (spoil_a_picture, [3], 3, "frame 3 of rgb cannot be decoded"),
    "frames": (drop_a_picture, [3], 3, r"0 frames of rgb, 1 in index\.json"),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(split, damage, training):
    folder, index = split
    spoil, lost, _, reason = DAMAGE[damage]
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
    spoil, lost, segment, reason = DAMAGE[damage]
    path = folder / index.shards[1].file
    byte = offsets_of(path)[segment]
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
    assert lines[-1] == f"skipped clips of {len(lost)} of 6 videos of {folder} so far"
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


def test_only_clips_that_need_a_damaged_segment_are_masked(make_split, stored_videos):
    """Of frames 0 to 2, 3 to 5 and 6 to 8, the middle ones are damaged; clips of two frames begin at 0 to 7."""
    folder, index = make_split(stored_videos(2, length=9))
    flip_byte(folder / index.shards[0].file, 4)  # of the second video
    spec = dataclasses.replace(spec_of(folder, damaged="skip"), frames=2, views=8)
    batches = list(build_dataset(spec, index, ["rgb"], training=False))
    mask = np.concatenate([targets["mask"] for _, targets in batches])
    assert mask.tolist() == [1.0] * 8 + [1, 1, 0, 0, 0, 0, 1, 1]
    greys = np.concatenate([features["rgb"][:, 0, 0, 0, 0] for features, _ in batches])
    assert greys.tolist() == [*range(8), 10, 11, 0, 0, 0, 0, 16, 17]


def test_a_lost_shard_is_refused_when_the_index_is_read(split):
    folder, index = split
    file = index.shards[2].file
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
