"""One clip for a run's network, of a video and of a record."""

import numpy as np
import pytest

from official_vision.data.storage.index import Index
from official_vision.errors import UserError
from official_vision.serving.explain.run_clips import clip_of_record, clip_of_video
from official_vision.training.clip_scoring import load_trained


@pytest.fixture(scope="module")
def trained(run):
    return load_trained(run[0], "best")


def test_a_records_clip_is_its_middle_one(trained, split):
    """23 frames: evaluation's middle clip of 4 begins at frame 9 or 10, 95 or 105 bright; JPEG errs a little."""
    clip = clip_of_record(trained, Index.read(split), 0)
    assert {name: x.shape[:2] for name, x in clip.items()} == dict.fromkeys(clip, (1, 4))
    shown = clip["rgb"].numpy().mean(axis=(0, 2, 3, 4))
    first = shown[0]
    assert min(abs(first - 95), abs(first - 105)) < 3
    np.testing.assert_allclose(np.diff(shown), 10, atol=2)


def test_a_videos_clip_begins_where_it_is_set(trained, split, brightening):
    clip = clip_of_video(trained, Index.read(split), brightening, 0.5)
    shown = clip["rgb"].numpy().mean(axis=(0, 2, 3, 4))
    np.testing.assert_allclose(shown, [55, 65, 75, 85], atol=2)
    with pytest.raises(UserError, match=r"Received: 9\.0 s of .*over"):
        clip_of_video(trained, Index.read(split), brightening, 9.0)


@pytest.mark.parametrize("number", [1, -1])
def test_a_record_that_there_is_not_is_refused(trained, split, number):
    with pytest.raises(UserError, match=f"0 to 0. Received: {number}"):
        clip_of_record(trained, Index.read(split), number)
