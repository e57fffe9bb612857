"""Records are found by their framing, and read one by one whatever is beside them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.storage.index import Index
from official_vision.data.storage.records import is_cut_short, record_offsets, record_table


def write(path, contents):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)
    return path


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 30))
def test_offsets_by_counting(tmp_path_factory, contents, cut):
    path = write(tmp_path_factory.mktemp("shard") / "a.tfrecord", contents)
    ends = np.cumsum([16 + len(content) for content in contents]).tolist()
    starts = [0, *ends[:-1]] if ends else []
    assert list(record_offsets(path)) == starts
    assert not any(is_cut_short(path, start) for start in starts)
    size = ends[-1] if ends else 0
    if cut <= size:
        path.write_bytes(path.read_bytes()[:-cut])
        whole = [start for start, end in zip(starts, ends, strict=True) if end <= size - cut]
        assert list(record_offsets(path)) == whole
        assert [is_cut_short(path, start) for start in starts] == [s not in whole for s in starts]


def test_records_are_read_in_any_order(make_split, stored_videos):
    folder, index = make_split(stored_videos(5, length=1), videos_per_shard=2)
    everything = [
        bytes(record)
        for shard in index.shards
        for record in tf.data.TFRecordDataset(str(folder / shard.file)).as_numpy_iterator()
    ]
    table = record_table(folder, index.shards)
    assert len(table) == 5
    for position in (3, 0, 4, 4, 1, 2):
        assert table.read(tf.constant(position)).numpy() == everything[position]
    path, offset = table.place(3)
    assert path == str(folder / index.shards[1].file)
    assert offset == len(everything[2]) + 16


def test_a_damaged_record_fails_alone(make_split, stored_videos):
    folder, index = make_split(stored_videos(3, length=1), videos_per_shard=3)
    path = folder / index.shards[0].file
    content = bytearray(path.read_bytes())
    content[record_offsets(path)[1] + 40] ^= 1
    path.write_bytes(content)
    table = record_table(folder, index.shards)
    for position in (0, 2):
        assert table.read(tf.constant(position)).numpy()
    with pytest.raises(tf.errors.DataLossError):
        table.read(tf.constant(1))


def test_offsets_are_those_of_the_index_and_survive_its_file(make_split, stored_videos):
    """They spare a look at every record of every shard; here they exchange two records."""
    folder, index = make_split(stored_videos(2, length=1), videos_per_shard=2)
    offsets = record_offsets(folder / index.shards[0].file)
    turned = dataclasses.replace(index.shards[0], offsets=offsets[::-1])
    dataclasses.replace(index, shards=(turned,)).write(folder)
    read = Index.read(folder)
    assert read.shards == (turned,)
    assert record_table(folder, read.shards).offset.tolist() == list(offsets[::-1])
