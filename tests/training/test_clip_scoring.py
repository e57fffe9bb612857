"""Evaluation with a network: pooling by setting, several devices, nothing of training in it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.formats import read_architecture
from official_vision.data.storage.index import Index, Labelling
from official_vision.errors import UserError
from official_vision.metrics.dump import read_dump
from official_vision.modeling.builder import build_model
from official_vision.specs import EvaluationSpec
from official_vision.training import clip_scoring as evaluation
from official_vision.training.checkpoints.restore import load_weights
from official_vision.training.task import VideoTask, inference_logits
from tests.modeling import small
from tests.training import runs, untrained

REPOSITORY = Path(__file__).resolve().parents[2]
VIDEOS, VIEWS, CROPS = 6, 2, 3


def of_split(trained, path):
    data = dataclasses.replace(trained.config.validation_data, path=str(path))
    config = dataclasses.replace(trained.config, validation_data=data)
    return dataclasses.replace(trained, config=config)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run that has an untrained network with dropout."""
    folder = tmp_path_factory.mktemp("evaluate")
    return untrained.write_run(folder, dropout_rate=0.5, views=VIEWS, crops=CROPS)


def load(folder):
    return evaluation.load_trained(folder, "latest")


@pytest.fixture(scope="module")
def scored(run):
    """The run, and the scores of its validation data's clips."""
    trained = load(run)
    return trained, evaluation.score_clips(trained)


def test_clips_are_those_of_the_data_and_pooled_as_set(scored):
    trained, clips = scored
    assert clips.logits.shape == (VIDEOS * VIEWS * CROPS, 4)
    assert clips.owner.tolist() == sorted(list(range(VIDEOS)) * VIEWS * CROPS)
    assert clips.labels.argmax(axis=1).tolist() == [0, 1, 2, 3, 0, 1]
    index = Index.read(trained.config.validation_data.path)
    assert clips.ids == index.videos
    assert clips.provenance["data_fingerprint"] == index.fingerprint
    assert clips.provenance["clips"]["views"] == VIEWS
    # By hand: probabilities of a video's six clips.
    odds = np.exp(clips.logits.astype(np.float64)).reshape(VIDEOS, VIEWS * CROPS, 4)
    p = odds / odds.sum(axis=-1, keepdims=True)
    for pooling, expected in (("mean", p.mean(axis=1)), ("max", p.max(axis=1))):
        spec = EvaluationSpec(pooling=pooling)
        np.testing.assert_allclose(clips.pooled(spec).scores, expected, rtol=1e-6)


def test_other_classes_are_refused_and_other_preparation_is_reported(run, tmp_path):
    """The run keeps the classes that it was trained on, whatever the names in the current data."""
    trained = load(run)
    runs.write_split(tmp_path / "other", [0, 1], classes=("red", "Green", "blue", "grey"))
    runs.write_split(tmp_path / "fewer", [0, 1], classes=("red", "green", "blue"))
    for name, words in (("other", "class 1 is 'Green' and 'green'"), ("fewer", "of 3 and 4")):
        with pytest.raises(UserError, match=words):
            of_split(trained, tmp_path / name).validation_index()
    index = runs.write_split(tmp_path / "slower", [0, 1])
    settings = {**index.settings, "fps": 5.0}
    dataclasses.replace(index, settings=settings).write(tmp_path / "slower")
    index = of_split(trained, tmp_path / "slower").validation_index()
    assert trained.unlike(index) == ["fps is None in train and 5.0 in slower"]


def test_a_new_classifier_may_begin_with_the_rest_of_a_run(run):
    trained = load(run)
    fresh = build_model(trained.config.model, trained.model.architecture)
    head = [v.ref() for v in fresh.head.classifier.variables]
    before = {v.ref(): v.numpy() for v in fresh.variables}
    lines = load_weights(fresh, str(run), classifier=False)
    assert len([line for line in lines if "begins anew" in line]) == len(head) == 2
    pairs = zip(fresh.trainable_variables, trained.model.trainable_variables, strict=True)
    for new, old in pairs:
        expected = before[new.ref()] if new.ref() in head else old.numpy()
        np.testing.assert_array_equal(new.numpy(), expected, err_msg=new.name)


def test_a_video_of_several_labels_is_not_judged_by_one(run, tmp_path):
    index = runs.write_split(tmp_path / "several", [0, 1])
    several = dataclasses.replace(index, labelling=Labelling(several="v1"))
    several.write(tmp_path / "several")
    with pytest.raises(UserError, match="video 'v1' has several labels"):
        evaluation.score_clips(of_split(load(run), tmp_path / "several"))


def test_data_are_found_where_they_lay_and_named_where_they_are_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = untrained.write_run(Path())  # recorded paths are relative to this folder
    monkeypatch.chdir("/")
    folder = tmp_path / folder
    here = load(folder)
    assert here.config.validation_data.path == str(tmp_path / "data" / "validation")
    assert here.validation_index().num_videos == VIDEOS
    (tmp_path / "data").rename(tmp_path / "moved")
    gone = load(folder)
    places = f"not at /data/validation nor at {tmp_path}/data/validation"
    with pytest.raises(UserError, match=f"{places}. Name their folder by --data") as raised:
        gone.validation_index()
    assert "\n" not in str(raised.value)
    # What a video needs to be explained lies in the run's folder.
    described = gone.described_index()
    assert described.classes == runs.CLASSES
    assert described.settings["short_side"] == runs.SIZE
    moved = tmp_path / "moved" / "validation"
    trained_on = evaluation.load_trained(folder, "latest", data=moved)
    assert trained_on.validation_index() == Index.read(moved)


def test_training_evaluates_as_the_command_does_and_reads_the_pooling(run, scored):
    trained, clips = scored
    index = Index.read(trained.config.validation_data.path)
    spec = EvaluationSpec(pooling="top_k", top_k=2, pooled_values="logits")
    config = dataclasses.replace(trained.config, evaluation=spec)
    architecture = read_architecture(run / "architecture.json")
    task = VideoTask(config, architecture, {"train": index, "validation": index}, None)
    task._streams = trained.model.streams
    state = None
    for batch in evaluation.build_dataset(
        config.validation_data, index, trained.model.streams, training=False
    ):
        logs = task.validation_step(batch, trained.model)
        state = task.aggregate_logs(state, {name: (value,) for name, value in logs.items()})
    figures = task.reduce_aggregated_logs(state)
    expected = clips.pooled(spec).evaluation().figures
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    odds = np.exp(clips.logits.astype(np.float64))
    right = clips.labels[clips.owner]
    losses = -np.log((odds * right).sum(axis=1) / odds.sum(axis=1))
    assert figures["validation_loss"] == pytest.approx(losses.mean(), rel=1e-5)


def test_evaluation_is_not_in_training_mode(run, scored):
    """No dropout, no batch statistics, no moved or mirrored clip; and nothing is updated."""
    trained = load(run)
    before = [variable.numpy() for variable in trained.model.variables]
    first, again = scored[1].logits, evaluation.score_clips(trained).logits
    np.testing.assert_array_equal(first, again)
    for variable, value in zip(trained.model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    # In batches of other sizes batch statistics would differ.
    data = dataclasses.replace(trained.config.validation_data, batch_size=9)
    config = dataclasses.replace(trained.config, validation_data=data)
    others = evaluation.score_clips(dataclasses.replace(trained, config=config)).logits
    np.testing.assert_allclose(others, first, atol=1e-5)


def test_no_clip_changes_the_logits_of_another_in_any_training():
    model = small.network(small.architecture(), flow_source="computed", flow_stretch="batch")
    clips = small.clips(size=16, streams=model.streams)
    clips["rgb"] = tf.concat([clips["rgb"][:1] // 8, clips["rgb"][1:]], axis=0)  # one is dark
    alone = inference_logits(model, {name: x[:1] for name, x in clips.items()})
    np.testing.assert_allclose(inference_logits(model, clips)[:1], alone, atol=1e-5)
    assert np.abs(small.logits(model, clips)[:1] - alone).max() > 1e-3  # as published


@pytest.mark.slow
def test_a_blanked_stream_changes_scores_and_is_recorded(scored):
    trained, whole = scored
    blanked = evaluation.score_clips(trained, blanked="rgb")
    assert blanked.provenance["blanked_stream"] == "rgb"
    assert np.abs(blanked.logits - whole.logits).max() > 1e-4
    spec = EvaluationSpec(pooling="max")
    config = dataclasses.replace(trained.config, evaluation=spec)
    without = evaluation.evaluate_without(dataclasses.replace(trained, config=config))
    assert set(without) == set(runs.STREAMS)
    assert without["rgb"].figures == blanked.pooled(spec).evaluation().figures


@pytest.mark.slow
def test_two_devices_score_as_one(run, tmp_path):
    command = [
        sys.executable,
        "-m",
        "tests.training.scoring_on_two_devices",
        str(run),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert lines[:2] == ["one 1", "two 2"]
    assert "must be a multiple of the 2 replicas" in lines[2]
    one, two = (read_dump(tmp_path / f"{name}.npz") for name in ("one", "two"))
    assert (one.ids, one.owner.tolist()) == (two.ids, two.owner.tolist())
    np.testing.assert_allclose(two.logits, one.logits, atol=1e-6)
    spec = EvaluationSpec()
    figures = [scores.pooled(spec).evaluation().figures for scores in (one, two)]
    assert figures[1] == pytest.approx(figures[0], abs=1e-6)
    one, two = (np.load(tmp_path / f"{name}_frames.npy") for name in ("one", "two"))
    np.testing.assert_allclose(two, one, atol=1e-6)
    # Statistics are those of the global batch. Synchronised norms take its variance as it is, others the unbiased one
    # of at least 4 clips of 4 frames of 2 x 2 pixels.
    norms, of_two = (np.load(tmp_path / f"{name}_norms.npz").values() for name in ("one", "two"))
    for expected, actual in zip(norms, of_two, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0.03, atol=1e-3)


def test_a_run_of_more_gpus_is_evaluated_where_there_are_fewer(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    record = json.loads((folder / "config.json").read_text())
    record["config"]["train"]["devices"] = 8
    (folder / "config.json").write_text(json.dumps(record))
    assert evaluation.devices_of_run(folder).num_replicas_in_sync == 1
    with pytest.raises(UserError, match="Received: 8, and it sees no GPU"):
        evaluation.devices_of_run(folder, 8)
