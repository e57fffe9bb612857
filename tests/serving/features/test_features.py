"""Features of videos: of runs and exports, row by row, in files that others read; and the head that reads them."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shutil
import tracemalloc

import h5py
import numpy as np
import pytest

from official_vision import config as configuration
from official_vision.data.storage.index import Index
from official_vision.data.video import FrameSequence, VideoError, decode
from official_vision.errors import UserError
from official_vision.serving.export.description import description_of_run
from official_vision.serving.export.exported_model import load_exported_model
from official_vision.serving.features import feature_model
from official_vision.serving.features import one_video as jobs
from official_vision.serving.features.extraction import Extractor
from official_vision.serving.features.feature_model import FeatureModel, load_feature_model
from official_vision.serving.features.options import FeatureOptions
from official_vision.serving.predict.frame_times import FrameTimes
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.predictor import Predictor
from official_vision.specs import DataSpec, PrepareSpec
from official_vision.training.run_folder.class_names import write_labels
from official_vision.training.run_folder.recorded_data import write_run_data
from tests.serving import exports

WINDOW = 4
NODE = exports.FEATURE_NODE


@pytest.fixture(scope="module")
def described_run(run, split, tmp_path_factory):
    """The run's folder with what training records of its data."""
    folder = shutil.copytree(run[0], tmp_path_factory.mktemp("described") / "run")
    write_labels(folder, exports.LABELS)
    write_run_data(folder, configuration.read(folder), {"train": Index.read(split)})
    return folder


def colours(batch):
    """As features: each frame's mean colours and its place in the clip; of a clip those of its first frame."""
    by_frame = batch["rgb"].numpy().astype(np.float32).mean((2, 3))
    places = np.broadcast_to(np.arange(by_frame.shape[1]), by_frame.shape[:2])
    by_frame = np.concatenate([by_frame, places[..., np.newaxis]], axis=-1).astype(np.float32)
    return by_frame, by_frame[:, 0]


def extractor(**options):
    """Extracts mean colours of frames, in windows of four."""
    preparation = PrepareSpec(short_side=32, flow="none", objects="none").to_dict()
    clip = DataSpec(frames=WINDOW, size=16)
    described = description_of_run(exports.LABELS, ("rgb",), preparation, clip)
    return Extractor(FeatureModel(described, colours), FeatureOptions(**options))


def job(folder, video, name="x", request=None, **options):
    options = FeatureOptions(**options)
    outputs = jobs.Outputs(folder / f"{name}.json", folder / f"{name}.{options.file}")
    return jobs.Job("model", "", options, str(video), outputs, request or {})


@pytest.fixture
def loads_colours(monkeypatch):
    """Jobs take mean colours in place of a network."""
    monkeypatch.setattr(jobs, "load", lambda *_, options: extractor(**dataclasses.asdict(options)))


def test_the_exported_head_gives_predict_s_frame_scores(exported, drifting, tmp_path):
    """Where windows don't overlap: 20 frames are five of them."""
    of_export = dataclasses.replace(
        job(tmp_path, drifting, stride=WINDOW, layout="CT"), model=str(exported[0].path)
    )
    printed = jobs.run_job(of_export)
    rows = np.load(tmp_path / "x.npy")
    described = json.loads((tmp_path / "x.json").read_text())["features"]
    assert printed.startswith(f"{drifting}: {list(rows.shape)} in ")
    assert described["shape"] == list(rows.shape)
    rows = rows.T
    assert rows.dtype == np.float32
    head = load_exported_model(exported[1]).head
    options = PredictOptions(stride=WINDOW, merge="frames", smoothing_sec=0)
    expected = Predictor(exported[1], options).predict(drifting).frame_scores
    np.testing.assert_allclose(head(rows[np.newaxis])["frame_scores"][0], expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 1e-3
    keys = ("of", "per", "fps", "stride_frames", "offset_frames", "frames", "clip_frames")
    assert [described[key] for key in keys] == ["head", "frame", 25.0, 1, 0.5, 20, WINDOW]
    np.testing.assert_allclose(described["times_sec"], np.arange(20) / 25, atol=1e-5)
    assert described["notes"] == []


@pytest.fixture(scope="module")
def loaded_once():
    """The run and the export are loaded once for all of their features."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("load_trained", "load_exported_model"):
            patch.setattr(feature_model, name, functools.cache(getattr(feature_model, name)))
        yield


@pytest.mark.parametrize("of", ["head", "logits", str(NODE)])
def test_a_run_and_its_export_compute_the_same(described_run, exported, drifting, of, loaded_once):
    """Overlapping windows, in batches that end within the video."""
    del loaded_once
    options = FeatureOptions(of=of, stride=3, batch_size=2)
    made = []
    for model in (described_run, exported[1]):
        times = FrameTimes()
        parts = list(Extractor(load_feature_model(model, of), options).rows(drifting, times))
        assert max(map(len, parts)) <= 2 * WINDOW
        made.append(np.concatenate(parts))
    assert made[0].shape[0] == len(times) == 20
    np.testing.assert_allclose(made[0], made[1], atol=1e-4, rtol=1e-4)
    assert np.ptp(made[0], axis=0).max() > 1e-3


def test_windows_begin_at_multiples_of_the_stride(loads_colours, brightening, tmp_path):
    """23 frames: the window that would end with the last of them has no row."""
    del loads_colours
    wanted = job(tmp_path, brightening, per="window", stride=3, layout="CT", file="h5")
    jobs.run_job(wanted)
    means = np.stack([frame.rgb.mean((0, 1)) for frame in decode(brightening)])
    starts = list(range(0, 23 - WINDOW + 1, 3))
    with h5py.File(tmp_path / "x.h5") as file:
        data = file["features"]
        np.testing.assert_allclose(data[:3], means[starts].T, atol=0.1)
        np.testing.assert_allclose(file["times_sec"][:], np.array(starts) / 10, atol=1e-5)
        attributes = dict(data.attrs)
    assert (attributes["fps"], attributes["layout"], attributes["per"]) == (10, "CT", "window")
    described = json.loads((tmp_path / "x.json").read_text())["features"]
    assert described["shape"] == [4, len(starts)]
    assert (described["stride_frames"], described["offset_frames"]) == (3, WINDOW / 2)
    assert len(described["times_sec"]) == len(starts)


def test_a_frame_s_row_is_the_mean_over_its_windows(brightening):
    times = FrameTimes()
    rows = np.concatenate(list(extractor(stride=2, batch_size=3).rows(brightening, times)))
    means = np.stack([frame.rgb.mean((0, 1)) for frame in decode(brightening)])
    np.testing.assert_allclose(rows[:, :3], means, atol=0.1)
    sums, weights = np.zeros(23), np.zeros(23)
    for start in [*range(0, 19, 2), 19]:  # the last window ends with the video
        for place, weight in enumerate((0.25, 0.75, 0.75, 0.25)):
            sums[start + place] += weight * place
            weights[start + place] += weight
    np.testing.assert_allclose(rows[:, 3], sums / weights, atol=1e-5)


@pytest.mark.parametrize("per", ["frame", "window"])
def test_a_video_shorter_than_a_window_has_rows(per):
    frames = FrameSequence((t / 10, np.full((32, 32, 3), 10 * t, np.uint8)) for t in range(3))
    times = FrameTimes()
    rows = np.concatenate(list(extractor(per=per).rows(frames, times)))
    np.testing.assert_allclose(rows[:, 0], [0, 10, 20] if per == "frame" else [0], atol=1e-4)


def test_memory_does_not_grow_with_the_video():
    def greatest(count):
        """The greatest memory, in bytes, of features that are taken row by row."""
        frame = np.zeros((32, 32, 3), np.uint8)
        video = FrameSequence((t / 10, frame) for t in range(count))
        tracemalloc.start()
        rows = sum(len(part) for part in extractor(window=50, stride=50).rows(video, FrameTimes()))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows == count
        return peak

    greatest(200)  # what is made once
    assert greatest(2000) - greatest(400) < 100_000  # 16 bytes of each frame's time and its copies


def test_a_killed_job_leaves_nothing_that_counts_as_done(
    loads_colours, brightening, tmp_path, monkeypatch
):
    """Not even where an earlier request's files lie there."""
    del loads_colours
    first, second = ({"request": number} for number in (1, 2))
    done = job(tmp_path, brightening, request=first)
    jobs.run_job(done)
    assert np.load(tmp_path / "x.npy").shape == (23, 4)
    assert done.outputs.done(first)
    assert not done.outputs.done(second)
    monkeypatch.setattr(jobs.output_files, "write_result", lambda *_: 1 / 0)
    with pytest.raises(VideoError, match="ZeroDivisionError"):
        jobs.run_job(job(tmp_path, brightening, request=second, stride=1))
    assert not done.outputs.done(first)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_frames_of_no_single_rate_are_noted():
    (note,) = jobs.unevenness(np.array([0.0, 0.1, 0.2, 0.3, 1.3, 1.4]))
    assert note.startswith("frames do not come at one rate")
    assert jobs.unevenness(np.array([0.0, 0.12, 0.2, 0.28, 0.41])) == []


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"of": "tail"}, "head, logits or a node's index. Received: 'tail'"),
        ({"per": "clip"}, "per must be one of frame, window. Received: 'clip'"),
        ({"layout": "TCHW"}, "layout must be one of TC, CT. Received: 'TCHW'"),
        ({"stride": WINDOW + 1}, "from 1 to a window's 4 frames. Received: 5"),
    ],
)
def test_mistakes_in_options_are_named(options, rule):
    with pytest.raises(UserError, match=re.escape(rule)):
        extractor(**options)


def test_what_a_model_lacks_is_named(run, described_run, exported, loaded_once):
    del loaded_once
    with pytest.raises(UserError, match=rf"has those of nodes {NODE}\. .* --feature_node=4"):
        load_feature_model(exported[1], "4")
    with pytest.raises(UserError, match=r"one of 0, 1, 2, 3, 4\. Received: 9"):
        load_feature_model(described_run, "9")
    with pytest.raises(UserError, match="preparation settings of its videos"):
        load_feature_model(run[0], "head")
    with pytest.raises(UserError, match=r"head must be .* Received|must be fed clips"):
        load_exported_model(exported[1]).head(np.full((1, 4, 4), np.nan))
