"""Late fusion by hand, and every way in which two files of scores can differ."""

import dataclasses

import numpy as np
import pytest

from official_vision.errors import UserError
from official_vision.metrics.run_fusion import fuse
from official_vision.metrics.scores import VideoScores

RANDOM = np.random.default_rng(0)
LABELS = np.array([[True, False], [False, True], [True, True]])
RGB = VideoScores(("a", "b", "c"), ("sit", "stand"), LABELS, RANDOM.random((3, 2)), "sigmoid")
FLOW = dataclasses.replace(RGB, scores=RANDOM.random((3, 2)))
NAMES = ("rgb.npz", "flow.npz")


def test_the_mean_is_weighted():
    fused = fuse((RGB, FLOW), NAMES, (3, 1))
    np.testing.assert_allclose(fused.scores, 0.75 * RGB.scores + 0.25 * FLOW.scores)
    np.testing.assert_allclose(fuse((RGB, FLOW), NAMES).scores, (RGB.scores + FLOW.scores) / 2)
    np.testing.assert_allclose(fuse((RGB, FLOW), NAMES, (0, 2)).scores, FLOW.scores)
    np.testing.assert_array_equal(fuse((RGB,), NAMES[:1]).scores, RGB.scores)


def test_videos_are_matched_by_id():
    order = [2, 0, 1]
    turned = dataclasses.replace(
        FLOW,
        ids=tuple(FLOW.ids[row] for row in order),
        labels=LABELS[order],
        scores=FLOW.scores[order],
    )
    fused = fuse((RGB, turned), NAMES)
    assert fused.ids == RGB.ids
    np.testing.assert_allclose(fused.scores, (RGB.scores + FLOW.scores) / 2)


def test_three_are_fused():
    third = dataclasses.replace(RGB, scores=RANDOM.random((3, 2)))
    fused = fuse((RGB, FLOW, third), (*NAMES, "objects.npz"))
    np.testing.assert_allclose(fused.scores, (RGB.scores + FLOW.scores + third.scores) / 3)


OTHER_LABELS = np.array([[True, False], [False, True], [True, False]])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"activation": "softmax"}, "activations are sigmoid and softmax"),
        ({"classes": ("sit",)}, "have 2 and 1 classes"),
        ({"classes": ("sit", "run")}, "classes 1 are 'stand' and 'run'"),
        ({"ids": ("a", "b", "d")}, "the first alone has video 'c'"),
        (
            {"labels": OTHER_LABELS},
            "video 'c' has the label 'stand' in rgb.npz and not in flow.npz",
        ),
    ],
)
def test_the_first_difference_is_named(changed, words):
    with pytest.raises(UserError) as raised:
        fuse((RGB, dataclasses.replace(FLOW, **changed)), NAMES)
    message = str(raised.value)
    assert words in message
    assert "rgb.npz" in message
    assert "flow.npz" in message
    assert "\n" not in message


@pytest.mark.parametrize("weights", [(1,), (1, 2, 3), (1, -1), (0, 0), (1, float("nan"))])
def test_unfit_weights_are_refused(weights):
    with pytest.raises(UserError, match="a weight for each of the 2 files"):
        fuse((RGB, FLOW), NAMES, weights)
