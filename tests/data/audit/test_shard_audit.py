"""Shards that are damaged, of other annotations, or have streams of unequal length are named."""

import dataclasses

import pytest

from official_vision.data.annotations.manifest import Label, Manifest, VideoRow
from official_vision.data.audit.audit import in_silence
from official_vision.data.audit.finding import Finding
from official_vision.data.audit.shard_audit import shard_findings
from official_vision.data.storage.index import LeftOut
from official_vision.specs import PrepareSpec


@pytest.fixture
def look(make_split, stored_videos):
    """A function of changes to 3 stored videos and to the index: the findings, and the folder."""

    def make(change=lambda videos: videos, missing=(), classes=("a", "b"), **of_index):
        folder, index = make_split(change(stored_videos(3)))
        dataclasses.replace(index, **of_index).write(folder)
        rows = [VideoRow(f"v{n}", f"v{n}.mp4", "split", (Label(n % 2),)) for n in range(3)]
        manifest = Manifest(classes, tuple(rows))
        spec = PrepareSpec(annotations="-", output=str(folder.parent))
        return folder, lambda: shard_findings(manifest, spec, missing, in_silence)

    return make


def test_sound_shards_give_no_finding(look):
    assert look()[1]() == []


def test_a_split_that_is_not_prepared_gives_none(tmp_path):
    manifest = Manifest(("a",), (VideoRow("v", "v.mp4", "train", ()),))
    spec = PrepareSpec(annotations="-", output=str(tmp_path))
    assert shard_findings(manifest, spec, (), in_silence) == []


def test_streams_of_unequal_length_are_named_with_their_lengths(look):
    def shorten(videos):
        videos[1].frames["flow"].pop()
        del videos[2].frames["objects"][2:]
        return videos

    named = look(shorten)[1]()
    text = "the streams of its segments have different numbers of frames: {} of rgb, {} of flow, {} of objects"
    assert named == [
        Finding("frame_count", "v1", text.format(8, 7, 8)),
        Finding("frame_count", "v2", text.format(8, 8, 2)),
    ]


def test_a_damaged_shard_is_named_and_the_others_are_read(look):
    folder, findings_of = look()
    shard = folder / "shard-00001-of-00002.tfrecord"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    ((kind, about, _),) = map(dataclasses.astuple, findings_of())
    assert (kind, about) == ("shards", str(shard))


def test_a_lost_shard_is_named(look):
    folder, findings_of = look()
    (folder / "shard-00001-of-00002.tfrecord").unlink()
    ((kind, about, detail),) = map(dataclasses.astuple, findings_of())
    assert (kind, about) == ("shards", "split")
    assert "shard-00001-of-00002.tfrecord, no such file" in detail


def test_what_was_left_out_is_named_unless_it_is_known_as_missing(look):
    left_out = (LeftOut("v2", "v2.mp4", "broken"), LeftOut("v1", "v1.mp4", "lost"))
    _, findings_of = look(lambda videos: videos[:1], missing={"v1.mp4"}, left_out=left_out)
    assert findings_of() == [Finding("left_out", "v2", "broken")]


def test_shards_of_other_annotations_are_named(look):
    _, findings_of = look(lambda videos: videos[:2])
    assert [finding.detail for finding in findings_of()] == [
        "1 videos are in the annotations or in the shards alone: v2"
    ]


def test_shards_of_other_classes_are_named(look):
    _, findings_of = look(classes=("a", "c"))
    assert "other classes" in findings_of()[0].detail
