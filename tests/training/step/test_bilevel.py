"""Bilevel updates: one half of the records moves the weights, the other half w and h, and nothing else."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official_vision.config import Config
from official_vision.data.input.pipeline import build_dataset
from official_vision.data.input.training_order import halves
from official_vision.data.storage.index import Index
from official_vision.errors import UserError
from official_vision.specs import ConnectivitySpec
from official_vision.training.run import train
from official_vision.training.task import VideoTask
from tests.training import runs, steps

BILEVEL = ConnectivitySpec(updates="bilevel")
PLAIN = {"learning_rate": 0.5, "momentum": 0.0, "weight_decay": 1e-2}


def bilevel(task, spec=BILEVEL):
    task.config = dataclasses.replace(task.config, connectivity=spec)
    return task


def one_step(task, inputs):
    """Weights before and after a step, and what it returns; a graph would take five times as long."""
    model, optimizer = steps.start(task)
    before = steps.weights(model)
    losses = task.train_step(inputs, model, optimizer)
    return before, steps.weights(model), losses


def of_connections(name):
    return "strength_logits" in name or "peer_logits" in name


@pytest.mark.parametrize("parts", [1, 2])
def test_gradients_come_from_the_halves(parts):
    """By hand: the gradient of each batch's loss, times the rate."""
    first, second = steps.batch(seed=1), steps.batch(seed=2)
    settings = {**PLAIN, "accumulation_steps": parts, "frozen": ("norm/",)}
    before, after, losses = one_step(bilevel(steps.make_task(**settings)), (first, second))
    by_first = one_step(steps.make_task(**settings), first)
    by_second = one_step(steps.make_task(**settings), second)
    moved = steps.moved(before, after)
    assert len([name for name in moved if of_connections(name)]) > 2
    for name in after:
        if "moving" in name:
            continue
        expected = (by_second if of_connections(name) else by_first)[1][name]
        np.testing.assert_allclose(after[name], expected, rtol=1e-5, atol=1e-7, err_msg=name)
    different = [n for n in moved if np.abs(by_first[1][n] - by_second[1][n]).max() > 1e-4]
    assert len(different) > 10  # the halves would have moved them elsewhere
    key = next(iter(losses))
    assert float(losses[key]) == pytest.approx(float(by_first[2][key]), rel=1e-5)


def test_terms_move_strengths_and_peers_alone():
    spec = dataclasses.replace(BILEVEL, peer_entropy_weight=5.0, strength_entropy_weight=5.0)
    pair = (steps.batch(seed=1), steps.batch(seed=2))
    _, plain, _ = one_step(bilevel(steps.make_task(**PLAIN)), pair)
    _, pushed, _ = one_step(bilevel(steps.make_task(**PLAIN), spec), pair)
    changed = steps.moved(plain, pushed)
    assert changed
    assert all(of_connections(name) for name in changed)


def test_each_side_has_an_optimizer():
    task = bilevel(steps.make_task({"learning_rate": 0.05}, **PLAIN))
    pair = (steps.batch(seed=1), steps.batch(seed=2))
    before, after, _ = one_step(task, pair)
    _, reference, _ = one_step(bilevel(steps.make_task(**PLAIN)), pair)
    for name in steps.moved(before, after):
        if "moving" in name:
            continue
        slower = 0.1 if of_connections(name) else 1.0
        step = slower * (reference[name] - before[name])
        np.testing.assert_allclose(after[name] - before[name], step, rtol=2e-3, atol=2e-6)


def test_nothing_to_learn_is_one_line():
    task = bilevel(steps.make_task(frozen=("logits",)))
    with pytest.raises(UserError, match=r"Received: .* weights and 0 of strengths") as raised:
        steps.start(task)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return runs.write_data(tmp_path_factory.mktemp("scenes"))


def make_config(data, folder, graph="small", **settings) -> Config:
    config = runs.config(data, folder, graph, **settings)
    return dataclasses.replace(
        config,
        connectivity=dataclasses.replace(BILEVEL, peer_entropy_weight=0.1, cost_weight=0.1),
        architecture_optimizer=dataclasses.replace(
            config.optimizer, name="adam", learning_rate=0.05
        ),
    )


def test_halves_of_the_records_are_gone_through_apart(data, tmp_path):
    config = make_config(data, tmp_path)
    index = Index.read(config.train_data.path)
    seen = []
    for half in (0, 1):
        batches = build_dataset(
            config.train_data, index, runs.STREAMS, training=True, half=half
        ).take(6)
        seen.append([t["video"].numpy().tolist() for _, t in batches])
    expected = [set(h.numpy().tolist()) for h in halves(index.num_videos, config.train_data.seed)]
    assert len(expected[0]) == len(expected[1]) == 8
    for batches, half in zip(seen, expected, strict=True):
        flat = [video for batch in batches for video in batch]
        # 24 clips are three epochs of 8 records.
        assert all(set(flat[i : i + 8]) == half for i in (0, 8, 16))


def test_the_halves_random_choices_differ(data, tmp_path):
    spec, index = make_config(data, tmp_path).train_data, Index.read(data / "train")
    seeds = []
    for half in (0, 1):
        batches = build_dataset(spec, index, runs.STREAMS, training=True, half=half).take(3)
        seeds.append({tuple(row) for _, t in batches for row in t["dropout_seed"].numpy().tolist()})
    assert len(seeds[0]) == len(seeds[1]) == 12
    assert not seeds[0] & seeds[1]


def test_one_record_has_no_halves(data, tmp_path):
    runs.write_split(tmp_path / "one", [0])
    spec = dataclasses.replace(make_config(data, tmp_path).train_data, path=str(tmp_path / "one"))
    with pytest.raises(UserError, match=r"at least 2 records. Received: .*one, which has 1"):
        build_dataset(spec, Index.read(spec.path), runs.STREAMS, training=True, half=0)


@pytest.mark.slow
def test_a_resumed_run_is_the_undisturbed_one_bit_for_bit(data, tmp_path, monkeypatch):
    """Fed by both halves in each step, with different videos; stopped in the middle of an epoch."""
    fed = []
    step = VideoTask.train_step

    def watched(self, inputs, model, optimizer, metrics=None):
        keep = [targets["video"] for _, targets in inputs]
        tf.py_function(lambda *videos: fed.append([v.numpy().tolist() for v in videos]), keep, [])
        return step(self, inputs, model, optimizer, metrics)

    monkeypatch.setattr(VideoTask, "train_step", watched)
    graph = runs.save_small(tmp_path, streams=("rgb",))
    intervals = {"steps_per_loop": 1, "checkpoint_interval": 1, "validation_interval": 9}
    whole = make_config(data, tmp_path / "whole", graph, steps=3, **intervals)
    train(whole)
    undisturbed = fed[:]
    fed.clear()
    runs.set_back(tmp_path / "whole", tmp_path / "parts", step=1)
    train(make_config(data, tmp_path / "parts", graph, steps=3, **intervals))
    expected = runs.weights(tf.train.latest_checkpoint(str(tmp_path / "whole")))
    actual = runs.weights(tf.train.latest_checkpoint(str(tmp_path / "parts")))
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)
    videos_of_half = [set(h.numpy().tolist()) for h in halves(16, whole.train_data.seed)]
    assert len(undisturbed) == 3
    assert undisturbed[1:] == fed
    assert all(
        set(first) <= videos_of_half[0] and set(second) <= videos_of_half[1]
        for first, second in undisturbed
    )
