"""The index returns what was written, and notices shards that are not as it says."""

import dataclasses
import json

import pytest

from official_vision.data.storage.index import INDEX_FILE, Index, LeftOut, ShardEntry, StatedTimes
from official_vision.errors import UserError


@pytest.fixture
def split(make_split, stored_videos):
    return make_split(stored_videos(3, length=1))


def test_round_trip_with_every_field_set(split):
    folder, index = split
    full = dataclasses.replace(
        index,
        left_out=(LeftOut("x", "x.mp4", "x.mp4: é"),),
        settings={"fps": 12.5, "start": None},
        versions={"av": "18"},
        object_classes=("none", "eye"),
        stated_times=(
            StatedTimes("x", 0.1 + 0.2, ((1, -0.5, 1e9), (0, 3.0, 2.0))),
            StatedTimes("v0", 7.0, ()),
        ),
    )
    full.write(folder)
    assert Index.read(folder) == full
    assert full.num_videos == 3


def test_the_fingerprint_is_of_classes_and_content_alone(split):
    _, index = split
    assert (
        dataclasses.replace(index, settings={"a": 1}, versions={}).fingerprint == index.fingerprint
    )
    other = dataclasses.replace(index.shards[0], sha256="0" * 64)
    changed = (
        dataclasses.replace(index, classes=("a", "c")),
        dataclasses.replace(index, shards=(other, *index.shards[1:])),
        dataclasses.replace(index, shards=index.shards[::-1]),
    )
    assert len({index.fingerprint, *(item.fingerprint for item in changed)}) == 4


def test_a_shard_cut_short_or_missing_is_named(split):
    folder, index = split
    path = folder / index.shards[1].file
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    size = len(content)
    with pytest.raises(
        UserError, match=rf"of {size} bytes, .* Received: .*{path.name}, {size - 1} bytes"
    ):
        Index.read(folder)
    path.unlink()
    with pytest.raises(UserError, match=rf"{path.name}, no such file"):
        Index.read(folder)


def test_a_shard_that_the_index_lacks_is_named(split):
    folder, index = split
    (folder / ".partial-x.tfrecord").write_bytes(b"x")  # a preparation that goes on
    (folder / "shard-00009.tfrecord").touch()  # of which no video could be prepared
    assert Index.read(folder) == index
    dataclasses.replace(index, shards=index.shards[:1]).write(folder)
    with pytest.raises(UserError, match=rf"index\.json, which lacks {index.shards[1].file}\."):
        Index.read(folder)
    assert Index.read(folder, damaged_is_fatal=False).shards == index.shards[:1]


def test_a_folder_without_index_is_explained(split, tmp_path):
    folder, _ = split
    with pytest.raises(UserError, match=rf"Splits there: {folder}"):
        Index.read(folder.parent)
    with pytest.raises(UserError, match=r"Prepare the data first"):
        Index.read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values.pop("classes"), "form in which it was written"),
        (
            lambda values: values.update(version=99),
            "which has format official_vision.shards, version 99",
        ),
        (lambda values: values.update(more=1), "form in which it was written"),
        (lambda values: values.update(shards=[{"file": "a"}]), "form in which it was written"),
        (lambda values: values.update(shards=None), "form in which it was written"),
    ],
)
def test_another_format_is_refused(split, change, words):
    folder, _ = split
    path = folder / INDEX_FILE
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=words) as raised:
        Index.read(folder)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("name", ["../x.tfrecord", "/x.tfrecord", "a/x.tfrecord"])
def test_an_index_names_files_beside_it_alone(split, name):
    path = split[0] / "index.json"
    values = json.loads(path.read_text())
    values["shards"][0]["file"] = name
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"must name files beside it.*index\.json, which names"):
        Index.read(split[0])


def test_other_json_is_refused(split):
    folder, _ = split
    (folder / INDEX_FILE).write_text("[1]")
    with pytest.raises(UserError, match=r"must have format official_vision\.shards, version"):
        Index.read(folder)
    (folder / INDEX_FILE).write_text("{")
    with pytest.raises(UserError, match="must be JSON"):
        Index.read(folder)


def test_entries_are_right(split):
    folder, index = split
    assert [shard.count for shard in index.shards] == [2, 1]
    assert all(isinstance(shard, ShardEntry) for shard in Index.read(folder).shards)
    assert sum(shard.bytes for shard in index.shards) == sum(
        path.stat().st_size for path in folder.glob("*.tfrecord")
    )
