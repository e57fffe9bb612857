"""Flow stems computed once per frame: the same scores, and how often they are computed."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.cost.network_cost import estimate
from official_vision.errors import UserError
from official_vision.modeling.builder import build_model
from official_vision.serving.predict import predictor as predict
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.predictor import Predictor
from official_vision.specs import ModelSpec
from official_vision.training.clip_scoring import load_trained
from official_vision.training.cost_setting import setting_of
from tests.modeling import small


@pytest.fixture
def sharers(monkeypatch):
    """Those that predictors make from here on."""
    made = []

    def noting(model):
        made.append(predict_sharer(model))
        return made[-1]

    predict_sharer = predict.StemSharer
    monkeypatch.setattr(predict, "StemSharer", noting)
    return made


@pytest.mark.parametrize(("stride", "batch_size"), [(1, 4), (2, 1), (3, 3)])
def test_scores_are_the_same_and_each_frame_is_computed_once(
    exported, brightening, sharers, stride, batch_size
):
    options = PredictOptions(stride=stride, batch_size=batch_size)
    sharing, alone = (Predictor(exported[1], options) for _ in range(2))
    alone._serve = dataclasses.replace(alone._serve, infer_stems=None)
    results = [predictor.predict(brightening) for predictor in (sharing, alone)]
    np.testing.assert_allclose(results[0].frame_scores, results[1].frame_scores, atol=1e-6)
    np.testing.assert_allclose(results[0].scores, results[1].scores, atol=1e-6)
    assert np.ptp(results[0].frame_scores) > 1e-3
    (sharer,) = sharers
    assert sharer.computed == 23  # the video's frames
    assert len(sharer._features) <= sharing.window_frames


def test_a_video_shorter_than_a_window_shares_nothing(exported, brightening, sharers):
    options = PredictOptions(window=30, stride=10)
    sharing, alone = (Predictor(exported[1], options) for _ in range(2))
    alone._serve = dataclasses.replace(alone._serve, infer_stems=None)
    results = [predictor.predict(brightening) for predictor in (sharing, alone)]
    np.testing.assert_array_equal(results[0].frame_scores, results[1].frame_scores)
    assert sharers[0].computed == 0


def test_what_is_shared_is_reported(run, exported):
    predicting = Predictor(exported[1], PredictOptions(stride=2))
    assert "decoding, flow, objects and flow's stem are done once per frame" in predicting.sharing()
    trained = load_trained(run[0], "best")
    setting = setting_of(trained.config.model, trained.config.validation_data)
    cost = estimate(trained.model.architecture, setting)
    stems = {part.node: part.count.arithmetic for part in cost.parts if part.role == "stem"}
    (flow,) = predicting.description.shared_stems
    assert predicting.description.stem_share < sum(stems.values()) / cost.total.arithmetic
    del stems[int(flow.removeprefix("stem_"))]
    share = sum(stems.values()) / cost.total.arithmetic
    assert predicting.description.stem_share == pytest.approx(
        share, rel=0.2
    )  # of the pruned network


def test_stems_that_see_one_frame_are_those_of_flow_that_is_fed():
    graph = small.architecture()
    assert small.network(graph).framewise_stems() == ("1",)
    assert small.network(graph, flow_source="computed").framewise_stems() == ()
    lite = build_model(
        ModelSpec(architecture="assemblenet_plus_plus_lite", num_classes=3, num_object_classes=4)
    )
    assert lite.framewise_stems() == ()  # these stems convolve over time


def test_the_network_continues_from_stems():
    model, features = small.network(small.architecture()), small.clips()
    stems = model.stem_outputs(features["flow"])
    rest = {name: features[name] for name in ("rgb", "objects")}
    np.testing.assert_allclose(
        model(rest, stems=stems)["logits"], small.logits(model, features), atol=1e-6
    )


def test_stems_of_other_clips_are_refused_by_name(exported):
    serve = Predictor(exported[1])._serve
    random = np.random.default_rng(0)
    made = serve.frame_stems(tf.constant(random.normal(size=(1, 3, 32, 32, 2)), tf.float32))
    rgb = np.zeros((1, 4, 32, 32, 3), np.uint8)
    objects = np.zeros((1, 4, 32, 32), np.uint8)
    with pytest.raises(UserError, match="stem_1"):
        serve.from_stems(rgb=rgb, objects=objects, **made)
