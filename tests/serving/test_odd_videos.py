"""Odd videos are predicted on as they are prepared: at the same times, with the same notes."""

import dataclasses

import numpy as np
import pytest

from official_vision.data.annotations.manifest import VideoRow
from official_vision.data.storage import frame_encoding
from official_vision.data.video import VideoError
from official_vision.serving.predict import predictor as predict
from official_vision.serving.predict.predictor import PredictOptions, Predictor
from official_vision.specs import PrepareSpec
from tests.data.video import odd
from tests.serving import exports

BRIGHT = 0  # column of the scores


@pytest.fixture
def predictor(known_scores):
    """Makes predictors with options."""
    return lambda options=None: Predictor(exports.with_clip(known_scores), options)


def test_odd_videos_are_read_as_preparation_reads_them(predictor, tmp_path):
    """Frames of two sizes from a joined recording: their times, number and scores; and the change is reported."""
    parts = [
        odd.write(tmp_path / "a.ts", odd.greys(9), bf="0"),
        odd.write(tmp_path / "b.ts", odd.greys(9, 64, 32, first=9), bf="0", start_sec=900),
    ]
    path = odd.joined(tmp_path / "joined.ts", *parts)
    result = predictor().predict(path)
    assert len(result.notes) == 2
    np.testing.assert_allclose(result.times_sec, np.arange(19) / 25, atol=1e-3)
    assert (
        np.diff(result.frame_scores[:, BRIGHT]) > 0
    ).all()  # each frame is brighter than the one before
    row = VideoRow("v", path.name, "train", ())
    spec = PrepareSpec(videos=str(tmp_path), short_side=16, flow="none", objects="none")
    stored = frame_encoding.encode_video(row, spec, tmp_path)
    assert stored.times_sec == tuple(result.times_sec)
    assert tuple(stored.notes.values()) == result.notes == tuple(predict.to_dict(result)["notes"])
    assert f"note: {result.notes[0]}" in predict.to_text(result)
    named = dataclasses.replace(result, video="two\nlines.ts", notes=())
    assert predict.to_text(named, most=1).splitlines()[0].startswith("two\\nlines.ts (")


def test_broken_packets_may_be_passed_over(predictor, tmp_path):
    plain = odd.write(tmp_path / "plain.mp4", odd.greys(25), bf="0", g="5")
    path = odd.broken(plain, tmp_path / "broken.mp4", 9)
    with pytest.raises(VideoError, match=r"broken after \d+ frames"):
        predictor().predict(path)
    result = predictor(PredictOptions(broken_packet_share=0.04)).predict(path)
    assert len(result.frame_scores) == 24
    assert result.notes == ("1 of 25 packets cannot be decoded and were passed over",)
