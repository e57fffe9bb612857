"""The demo's plan and clips: no source frame in both splits, even base rates, exact playback."""

import collections

import av
import numpy as np
import pytest

from official_vision.data.annotations.formats import READERS
from official_vision.data.synthetic import demo_videos as demo
from official_vision.data.synthetic.demo_videos import (
    CLIP_FRAMES,
    PLAYBACKS,
    SCENES,
    make_demo_data,
    plan_clips,
)
from official_vision.data.video import decode
from official_vision.errors import UserError

LENGTHS = {"bikes": 250, "bunny": 132, "carphone": 120}


def all_clips():
    return [clip for scene, length in LENGTHS.items() for clip in plan_clips(scene, length)]


def frames_of(clips):
    return {frame for clip in clips for frame in clip.frames}


@pytest.mark.parametrize("scene", LENGTHS)
def test_no_source_frame_is_in_both_splits(scene):
    clips = plan_clips(scene, LENGTHS[scene])
    train = frames_of(clip for clip in clips if clip.split == "train")
    validation = frames_of(clip for clip in clips if clip.split == "validation")
    assert train
    assert validation
    assert train.isdisjoint(validation)
    assert max(train | validation) < LENGTHS[scene]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_base_rates_are_even(split):
    clips = [clip for clip in all_clips() if clip.split == split]
    playbacks = collections.Counter(clip.playback for clip in clips)
    scenes = collections.Counter(clip.scene for clip in clips)
    assert {name: count / len(clips) for name, count in playbacks.items()} == dict.fromkeys(
        PLAYBACKS, 0.25
    )
    assert set(scenes.values()) == {len(clips) / 3}
    both = collections.Counter((clip.scene, clip.playback) for clip in clips)
    assert len(set(both.values())) == 1  # the scene is independent of the playback


def test_playbacks_are_what_they_are_called():
    for clip in all_clips():
        steps = set(np.diff(clip.frames).tolist())
        expected = {"forward": {1}, "reversed": {-1}, "double_speed": {2}, "frozen": {0}}
        assert steps == expected[clip.playback]
        assert len(clip.frames) == CLIP_FRAMES


def test_plans_are_of_the_wanted_size_and_repeatable():
    clips = all_clips()
    counts = collections.Counter(clip.split for clip in clips)
    assert 250 <= counts["train"] <= 400
    assert 80 <= counts["validation"] <= 130
    assert clips == all_clips()
    assert len({clip.name for clip in clips}) == len(clips)


def test_a_short_source_gives_no_clips():
    """66 frames are the least that hold a run for each split."""
    assert plan_clips("bikes", 65) == []
    assert {clip.split for clip in plan_clips("bikes", 66)} == {"train", "validation"}


@pytest.fixture(scope="module")
def made(footage, tmp_path_factory):
    """The data set's folder and count, with eight clips a scene to keep the tests short."""
    output = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_CLIPS_PER_SCENE", {"train": 4, "validation": 4})
        yield output, make_demo_data(footage["bikes"].parent, output)


def test_clips_show_their_frames(made, footage):
    output, count = made
    assert count == 24
    source = [f.rgb for f in decode(footage["carphone_pristine"], 96)]
    clips = [clip for clip in plan_clips("carphone", len(source)) if clip.split == "train"]
    for clip in clips:
        shown = [frame.rgb for frame in decode(output / "clips" / clip.name)]
        assert len(shown) == CLIP_FRAMES
        for rgb, number in zip(shown, clip.frames, strict=True):
            height, width = rgb.shape[:2]
            errors = {
                n: np.abs(rgb - source[n][:height, :width].astype(float)).mean()
                for n in {number, max(number - 6, 0), min(number + 6, len(source) - 1)}
            }
            assert errors[number] < 4
            assert errors[number] == min(errors.values())


def test_annotations_name_every_clip(made):
    output, count = made
    manifest = READERS["csv"](output / "annotations.csv")
    assert len(manifest.rows) == count
    assert set(manifest.classes) == {f"scene_{s}" for s in SCENES} | {
        f"play_{p}" for p in PLAYBACKS
    }
    for row in manifest.rows:
        names = {manifest.classes[label.class_index] for label in row.labels}
        scene, split, _, playback = row.path.removesuffix(".mp4").split("_", 3)
        assert names == {f"scene_{scene}", f"play_{playback}"}
        assert row.split == split
        with av.open(str(output / "clips" / row.path)) as container:
            assert container.streams.video[0].frames == CLIP_FRAMES


def test_only_missing_clips_are_cut_again_and_to_the_same_bytes(made, footage):
    output, _ = made
    clips = sorted((output / "clips").iterdir())
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in clips}
    annotations = (output / "annotations.csv").read_bytes()
    clips[3].unlink()
    cut = []
    make_demo_data(footage["bikes"].parent, output, lambda c: cut.extend(c) or iter(c))
    assert [clip.name for clip in cut] == [clips[3].name]
    for path, (time, content) in before.items():
        assert path.read_bytes() == content
        assert path == clips[3] or path.stat().st_mtime_ns == time
    assert (output / "annotations.csv").read_bytes() == annotations


def test_missing_footage_is_named(tmp_path):
    with pytest.raises(UserError, match=r"bikes\.mp4: there is no such video file"):
        make_demo_data(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "annotations.csv").exists()
