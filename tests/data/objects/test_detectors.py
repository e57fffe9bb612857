"""Detected boxes become ids, specific ones over general ones; nothing is detected in nothing."""

import cv2
import numpy as np
import pytest

from official_vision.data.objects import detectors as objects
from official_vision.data.objects.detectors import (
    OPENCV_CLASS_NAMES,
    OpenCvDetectors,
    opencv_detectors,
)
from official_vision.data.video import decode

FACE = OPENCV_CLASS_NAMES.index("frontal face")
UPPER_BODY = OPENCV_CLASS_NAMES.index("upper body")


def test_a_talking_face_is_detected_where_it_is(footage):
    """In carphone a man's face fills the middle; often it is turned away."""
    frames = [f.rgb for f in decode(footage["carphone_pristine"])][::12]
    masks = np.stack([opencv_detectors()(rgb) == FACE for rgb in frames])
    has_face = masks.any((1, 2))
    assert has_face.mean() >= 0.3
    y, x = np.argwhere(masks.mean(0) == masks.mean(0).max()).mean(0)
    assert 30 < y < 110
    assert 50 < x < 130


def test_nothing_is_detected_in_a_flat_picture():
    assert not opencv_detectors()(np.full((64, 64, 3), 128, np.uint8)).any()


def test_results_do_not_depend_on_what_was_seen_before(footage):
    frames = [f.rgb for f in decode(footage["carphone_pristine"], 96)][::40]
    fresh = [OpenCvDetectors()(rgb) for rgb in frames]
    again = [opencv_detectors()(rgb) for rgb in reversed(frames)]
    np.testing.assert_array_equal(fresh, again[::-1])


def test_all_cascades_are_loaded():
    """OpenCV returns an empty cascade for a missing file and finds nothing with it for ever."""
    for index, (name, file) in enumerate(objects.OPENCV_CLASSES):
        if file:
            assert not OpenCvDetectors()._cascades[index].empty(), name


@pytest.mark.parametrize("height", [80, 320])
def test_boxes_are_painted_at_the_frames_scale(monkeypatch, height):
    """Boxes come in pixels of the resized frame; a face lies over the body that it belongs to."""
    scale = 160 / height

    def boxes(_, index, grey):
        assert grey.shape == (160, 240)
        corners = {UPPER_BODY: (10, 20, 40, 30), FACE: (20, 25, 10, 10)}.get(index)
        return np.array([] if corners is None else [np.array(corners) * scale])

    monkeypatch.setattr(OpenCvDetectors, "_boxes", boxes)
    ids = OpenCvDetectors()(np.zeros((height, height * 3 // 2, 3), np.uint8))
    expected = np.zeros((height, height * 3 // 2), np.uint8)
    cv2.rectangle(expected, (10, 20), (49, 49), UPPER_BODY, cv2.FILLED)
    cv2.rectangle(expected, (20, 25), (29, 34), FACE, cv2.FILLED)
    np.testing.assert_array_equal(ids, expected)


def test_boxes_that_leave_the_frame_are_cut(monkeypatch):
    box = np.array([[-5, 150, 20, 50]])
    monkeypatch.setattr(OpenCvDetectors, "_boxes", lambda _, i, __: box if i == FACE else box[:0])
    ids = OpenCvDetectors()(np.zeros((160, 160, 3), np.uint8))
    assert np.argwhere(ids == FACE).min(0).tolist() == [150, 0]
    assert np.argwhere(ids == FACE).max(0).tolist() == [159, 14]
