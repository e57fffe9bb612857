"""Merged windows, segments, and their report: table and JSON."""

import json

import numpy as np
import pytest

from official_vision.serving.predict import predictor as predict
from official_vision.serving.predict.options import PredictOptions
from tests.serving import exports
from tests.serving.predict.test_predictor import BRIGHT, LATE, PLAIN, brightness


def tent(place):
    """Returns the weight of the frame at a place of a window of 4."""
    return 1 - abs(place - 1.5) / 2


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_windows_are_merged_by_weighted_averages(predictor, brightening, stride):
    starts = sorted({*range(0, 20, stride), 19})
    within = [[t - s for s in starts if 0 <= t - s < 4] for t in range(23)]
    shown, total = brightness(brightening), [sum(map(tent, places)) for places in within]
    options = {"stride": stride, "batch_size": 3, **PLAIN}
    by_frame = predictor(PredictOptions(**options)).predict(brightening)
    expected = [sum(tent(p) * p / 4 for p in places) for places in within]
    np.testing.assert_allclose(
        by_frame.frame_scores[:, LATE], np.divide(expected, total), atol=1e-6
    )
    # A window's score is that of its last frame.
    whole = predictor(PredictOptions(**{**options, "merge": "windows"})).predict(brightening)
    expected = [sum(tent(p) * shown[t - p + 3] for p in within[t]) for t in range(23)]
    np.testing.assert_allclose(whole.frame_scores[:, BRIGHT], np.divide(expected, total), atol=1e-3)
    last_frames = shown[[s + 3 for s in starts]]
    for result in (by_frame, whole):
        assert result.scores[BRIGHT] == pytest.approx(last_frames.mean(), abs=1e-3)
        assert result.scores[LATE] == pytest.approx(0.75)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_a_still_video_has_one_score_wherever_a_frame_is_in_its_window(predictor, tmp_path, stride):
    """This network scores frames by their place alone, among others."""
    still = exports.write_video(tmp_path / "still.mp4", [np.full((32, 32, 3), 90, np.uint8)] * 23)
    result = predictor(PredictOptions(stride=stride, smoothing_sec=0)).predict(still)
    assert np.ptp(result.frame_scores, axis=0).max() < 1e-5
    np.testing.assert_allclose(result.frame_scores[:, LATE], 0.75, atol=1e-6)
    (segment,) = [s for s in result.segments if s.label == "late"]
    assert (segment.start_sec, segment.end_sec) == (0, pytest.approx(23 / 25))
    by_frame = predictor(PredictOptions(stride=2, **PLAIN)).predict(still)
    assert np.ptp(by_frame.frame_scores[:, LATE]) > 0.2


def test_segments_name_the_seconds_in_which_a_class_is_strong(predictor, brightening):
    shown = brightness(brightening)
    result = predictor(PredictOptions(threshold=0.5, **PLAIN)).predict(brightening)
    (segment,) = [s for s in result.segments if s.label == "bright"]
    first = int(np.argmax(shown >= 0.5))
    assert (segment.start_sec, segment.end_sec) == pytest.approx((first / 10, 2.3))
    assert segment.score == pytest.approx(shown.max(), abs=1e-3)


def test_a_table_and_json_of_a_prediction(predictor, brightening):
    options = PredictOptions(threshold=0.7, **PLAIN)
    result = predictor(options).predict(brightening)
    lines = predict.to_text(result, most=2).splitlines()
    assert lines[0] == f"{brightening} (2.3 s)"
    (segment,) = [s for s in result.segments if s.label == "bright"]
    score = result.scores[LATE]
    late = [s for s in result.segments if s.label == "late"]
    assert len(lines) == 4
    assert lines[2].split() == ["late", f"{score:.3f}", f"{late[0].start_sec:.1f}-2.3"]
    assert lines[3].split()[-1] == f"{segment.start_sec:.1f}-2.3"
    values = json.loads(json.dumps(predict.to_dict(result)))
    assert [row["label"] for row in values["classes"]][:2] == ["late", "bright"]
    assert values["duration_sec"] == pytest.approx(2.3)
    assert values["segments"][0].keys() == {"label", "start_sec", "end_sec", "score"}
    assert values["settings"] == {**options.to_dict(), "stride": 2, "window": 4}
    over_time = values["scores_over_time"]
    np.testing.assert_allclose(over_time["times_sec"], np.arange(23) / 10)
    assert over_time["scores"].keys() == set(exports.LABELS)
    np.testing.assert_allclose(
        over_time["scores"]["bright"], result.frame_scores[:, BRIGHT], atol=6e-5
    )


def test_a_long_videos_scores_are_written_as_means_of_neighbours(predictor, brightening):
    options = PredictOptions(score_points=4)
    result = predictor(options).predict(brightening)
    over_time = predict.to_dict(result)["scores_over_time"]
    firsts = [0, 5, 11, 17]  # of 23 frames
    assert over_time["times_sec"] == pytest.approx([t / 10 for t in firsts])
    scores = result.frame_scores[:, BRIGHT]
    expected = [scores[a:b].mean() for a, b in zip(firsts, [*firsts[1:], 23], strict=True)]
    np.testing.assert_allclose(over_time["scores"]["bright"], expected, atol=6e-5)
