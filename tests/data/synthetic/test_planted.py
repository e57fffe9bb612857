"""The planted data: only the objects show which half of a clip counts."""

import collections
import itertools

import cv2
import numpy as np
import pytest

from official_vision.data.annotations.formats import READERS
from official_vision.data.synthetic import planted
from official_vision.data.synthetic.demo_videos import SCENES
from official_vision.data.synthetic.planted import DIRECTIONS, FRAMES, LIVE, OTHER, SIZE
from official_vision.data.video import decode


def test_halves_differ_and_each_class_counts_as_often_as_not():
    """Otherwise a picture or a motion would show which half is live: each rate within 4 deviations of a half."""
    clips = planted.plan_clips()
    assert clips == planted.plan_clips()
    assert clips != planted.plan_clips(seed=1)
    live, seen = collections.Counter(), collections.Counter()
    for clip in clips:
        first, second = clip.parts
        assert first.scene != second.scene
        assert first.direction != second.direction
        for number, part in enumerate(clip.parts):
            for name in (part.scene, part.direction, number):
                seen[name] += 1
                live[name] += number == clip.live
    assert set(seen) == {*SCENES, *DIRECTIONS, 0, 1}
    for name, count in seen.items():
        assert abs(live[name] - count / 2) < 4 * np.sqrt(count) / 2, name


@pytest.fixture(scope="module")
def sources(footage):
    folder = footage["bikes"].parent
    return {name: [f.rgb for f in decode(folder / file, 96)] for name, file in SCENES.items()}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_pictures_move_by_two_pixels_a_frame(sources, direction):
    """A texture's pixel moves two pixels further in the next frame, wherever the window is."""
    for place in ((0.0, 0.0, 0.0), (0.999, 0.999, 0.999)):
        parts = tuple(planted.Part("bikes", way, place) for way in (direction, "left"))
        clip = planted.PlantedClip("it", "train", parts, 0)
        frames = planted.frames_of(clip, sources)
        assert [frame.shape for frame in frames] == [(SIZE, SIZE, 3)] * FRAMES
        right, down = (2 * step for step in DIRECTIONS[direction])
        inner = slice(2, -2)
        for before, after in itertools.pairwise(frames[:6]):
            moved = np.roll(before, (down, right), axis=(0, 1))
            np.testing.assert_array_equal(after[inner, inner], moved[inner, inner])
        assert (frames[0] != frames[5]).any()


def test_splits_share_no_texture(sources):
    marked = {  # a frame's number as its grey
        name: [np.full_like(frame, number) for number, frame in enumerate(frames)]
        for name, frames in sources.items()
    }
    used = {(scene, split): set() for scene in SCENES for split in planted.CLIPS}
    for clip in planted.plan_clips():
        greys = [int(frame.max()) for frame in planted.frames_of(clip, marked)]
        used[clip.parts[0].scene, clip.split].add(greys[0])
        used[clip.parts[1].scene, clip.split].add(greys[-1])
    for scene, frames in sources.items():
        train, validation = used[scene, "train"], used[scene, "validation"]
        assert train.isdisjoint(validation)
        assert len(train) > len(validation) > 0.1 * len(frames)


def test_files_say_what_was_planned(footage, tmp_path, monkeypatch):
    monkeypatch.setattr(planted, "CLIPS", {"train": 4, "validation": 2})
    made = planted.make_planted_data(footage["bikes"].parent, tmp_path)
    clips = {clip.name: clip for clip in planted.plan_clips()}
    manifest = READERS["csv"](tmp_path / "annotations.csv")
    assert made == len(manifest.rows) == len(clips) == 6
    for row in manifest.rows:
        clip = clips[row.path.removesuffix(".mp4")]
        live = clip.parts[clip.live]
        names = {manifest.classes[label.class_index] for label in row.labels}
        assert names == {f"scene_{live.scene}", f"moves_{live.direction}"}
        assert len(list(decode(tmp_path / "clips" / row.path))) == FRAMES
        paths = sorted((tmp_path / "ids" / clip.name).iterdir())
        ids = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths]
        halves = [LIVE, OTHER] if clip.live == 0 else [OTHER, LIVE]
        assert [int(picture.max()) for picture in ids] == [
            h for h in halves for _ in range(FRAMES // 2)
        ]
        assert all((picture > 0).sum() == (SIZE // 2) ** 2 for picture in ids)
