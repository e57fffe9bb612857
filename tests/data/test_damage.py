"""A damaged record is reported with its shard's path; other failures stay what they are."""

import pytest
import tensorflow as tf

from official_vision.data.damage import damage_named, damaged_shards
from official_vision.data.index import Index
from official_vision.data.input import build_dataset
from official_vision.errors import UserError
from official_vision.specs import DataSpec


@pytest.fixture
def split(make_split, stored_videos):
    return make_split(stored_videos(6, length=2))


def dataset(folder, index, *, training):
    spec = DataSpec(path=str(folder), batch_size=2, frames=2, size=16)
    return build_dataset(spec, index, ["rgb"], training=training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_flipped_bytes_are_named(split, place, training):
    folder, index = split
    path = folder / index.shards[1].file
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 255
    path.write_bytes(content)
    assert Index.read(folder) == index  # the size is still right
    with (
        pytest.raises(UserError, match=rf"Received: \S*{path.name}, whose content has changed"),
        damage_named(folder, index),
    ):
        for _ in dataset(folder, index, training=training).take(20):
            pass


def test_a_shard_that_vanishes_is_named(split):
    folder, index = split
    (folder / index.shards[2].file).unlink()
    with (
        pytest.raises(UserError, match=index.shards[2].file),
        damage_named(folder, index),
    ):
        for _ in dataset(folder, index, training=False):
            pass
    assert damaged_shards(folder, index) == [str(folder / index.shards[2].file)]


def test_whole_shards_pass(split):
    folder, index = split
    assert damaged_shards(folder, index) == []
    with damage_named(folder, index):
        assert len(list(dataset(folder, index, training=False))) == 3


def test_other_failures_stay_what_they_are(split):
    folder, index = split
    for error in (tf.errors.NotFoundError(None, None, "checkpoint"), KeyError("x")):
        with pytest.raises(type(error)), damage_named(folder, index):
            raise error
