"""One video's work: what is written of it, and whose fault a failure is."""

import errno
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from official_vision.data.video import VideoError
from official_vision.errors import UserError
from official_vision.processes.pool import spread
from official_vision.serving.predict import one_video as jobs
from official_vision.serving.predict.one_video import Job, run_job
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.prediction_files import Outputs
from official_vision.serving.predict.predictor import Prediction


def job_of(folder, video):
    outputs = Outputs(folder / f"{video}.json", folder / f"{video}.png", None)
    return Job("model", PredictOptions(), video, outputs, {"stride": None})


ERRORS = {
    "sizes": ValueError("all input arrays must have the same shape\nsecond line"),
    "memory": MemoryError(),
    "shape": tf.errors.InvalidArgumentError(None, None, "no such shape"),
    "refused": UserError("Feed the size that it was exported for."),
    "full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.png"),
    "full too": tf.errors.ResourceExhaustedError(None, None, "x; No space left on device"),
}


class Network:
    """Predicts, or fails as the video's name demands."""

    def predict(self, video):
        if video in ERRORS:
            raise ERRORS[video]
        scores = np.linspace(0, 1, 10, dtype=np.float32)[:, np.newaxis]
        sample = (0.0, np.zeros((4, 4, 3), np.uint8))
        settings = {"score_points": 0}
        times = np.arange(11) / 10
        return Prediction(video, ("a",), times, scores, scores[5], (), [sample], settings)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(jobs, "load", lambda *_: Network())


def test_a_failure_of_any_kind_is_one_videos_and_the_others_are_done(tmp_path):
    messages = {
        "sizes": "sizes: ValueError: all input arrays must have the same shape",
        "good": None,
        "memory": "memory: MemoryError: no reason was named",
        "shape": "shape: InvalidArgumentError: no such shape",
        "refused": "refused: Feed the size that it was exported for.",
        "last": None,
    }
    results = list(spread(run_job, [job_of(tmp_path, video) for video in messages], 1))
    for job, result in results:
        if messages[job.video] is None:
            assert result.startswith(f"{job.video} (1.0 s)")
        else:
            assert isinstance(result, VideoError)
            assert str(result) == messages[job.video]
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["good.json", "last.json"]


def test_a_full_disk_is_no_videos_fault(tmp_path):
    for video in ("full", "full too"):
        with pytest.raises(UserError, match=r"No space left on device.*Free space") as caught:
            run_job(job_of(tmp_path, video))
        assert not isinstance(caught.value, VideoError)


def test_the_json_file_is_read_by_people_and_programs(tmp_path):
    run_job(job_of(tmp_path, "good"))
    text = (tmp_path / "good.json").read_text()
    assert len(text.splitlines()) < 40  # not a line for each score
    content = json.loads(text)
    assert content["request"] == {"stride": None}
    over_time = content["prediction"]["scores_over_time"]
    assert over_time["scores"]["a"] == pytest.approx(np.linspace(0, 1, 10), abs=6e-5)
