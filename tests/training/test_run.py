"""Training runs on generated scenes: learning, resuming, refusing, evaluating."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_vision.errors import UserError
from official_vision.lock import folder_locked
from official_vision.training import clip_scoring as evaluation
from official_vision.training.checkpoints.restore import COUNT_KEY
from official_vision.training.run import summary_line, train
from official_vision.training.step.precise_batch_norm import recompute_on_training_data
from tests.training import runs

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return runs.write_data(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return runs.save_small(tmp_path_factory.mktemp("graph"))


@pytest.fixture(scope="module")
def rgb_graph(tmp_path_factory):
    """For tests of what goes on around a network, whichever it is."""
    return runs.save_small(tmp_path_factory.mktemp("rgb_graph"), streams=("rgb",))


@pytest.fixture(scope="module")
def trained(data, graph, tmp_path_factory):
    """A run of 40 steps with a moving average: its configuration, result and screen."""
    folder = tmp_path_factory.mktemp("run")
    config = runs.config(
        data,
        folder,
        graph,
        steps=40,
        steps_per_loop=10,
        validation_interval=20,
        checkpoint_interval=20,
        ema_decay=0.9,
    )
    return config, train(config)


def evaluated(trained):
    return evaluation.score_clips(trained).pooled(trained.config.evaluation).evaluation()


def losses_of(folder):
    """Training loss by step, from the summaries."""
    losses = {}
    for file in sorted(Path(folder, "train").glob("events*")):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.tag == "training_loss":
                    losses[event.step] = float(tf.make_ndarray(value.tensor))
    return losses


def test_it_learns(trained):
    config, result = trained
    losses = losses_of(config.train.model_dir)
    assert list(losses) == [10, 20, 30, 40]
    assert losses[40] < 0.7 * losses[10]
    assert result.best["mAP"] > 0.8
    assert result.figures["best_mAP"] == result.best["mAP"]


@pytest.mark.slow
def test_evaluation_reads_what_training_kept(trained):
    config, result = trained
    best = evaluation.load_trained(config.train.model_dir, "best")
    assert best.step == result.best["best_ckpt_global_step"]
    whole, blanked = evaluated(best), evaluation.evaluate_without(best)
    # 6 videos in batches of 4: two filling rows count nowhere.
    assert whole.videos == 6
    assert [row.positives for row in whole.classes] == [2, 2, 1, 1]
    for name in ("mAP", "top_1"):
        assert whole.figures[name] == pytest.approx(result.best[name], abs=1e-6)
    assert set(blanked) == set(runs.STREAMS)


def test_averaged_weights_are_what_is_evaluated(trained):
    config, result = trained
    folder = config.train.model_dir
    newest = tf.train.latest_checkpoint(folder)
    latest = evaluation.load_trained(folder, "latest")
    assert "ema_checkpoints" in latest.checkpoint
    reader = tf.train.load_checkpoint(newest)
    last = runs.weights(newest)
    kernel = next(name for name in last if "kernel" in name)
    slot = kernel.replace("/.ATTRIBUTES", "/.OPTIMIZER_SLOT/optimizer/average/.ATTRIBUTES")
    averaged = runs.weights(latest.checkpoint)
    np.testing.assert_allclose(averaged[kernel], reader.get_tensor(slot), atol=1e-6)
    assert np.abs(averaged[kernel] - last[kernel]).max() > 1e-4
    whole = evaluated(latest)
    assert whole.figures["mAP"] == pytest.approx(result.figures["mAP"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tensorflow-addons is not made for it")
def test_an_addons_average_is_what_is_evaluated_and_kept_as_the_best(data, rgb_graph, tmp_path):
    """Without the exchange the best checkpoint would hold the weights of the newest."""
    settings = {"name": "tfa:MovingAverage", "learning_rate": 0.02, "validation_interval": 8}
    config = runs.config(data, tmp_path, rgb_graph, steps=8, **settings)
    result = train(config)
    best, newest = evaluation.load_trained(tmp_path), tf.train.latest_checkpoint(str(tmp_path))
    averaged, last = runs.weights(best.checkpoint), runs.weights(newest)
    reader = tf.train.load_checkpoint(newest)
    slots = [
        n for n in reader.get_variable_to_shape_map() if "OPTIMIZER_SLOT" in n and "average" in n
    ]
    assert len(slots) > 20
    for slot in slots:
        kernel = f"{slot.split('/.OPTIMIZER_SLOT')[0]}/.ATTRIBUTES/VARIABLE_VALUE"
        np.testing.assert_array_equal(averaged[kernel], reader.get_tensor(slot), err_msg=kernel)
    assert any(np.abs(averaged[name] - last[name]).max() > 1e-3 for name in last)
    assert evaluated(best).figures["mAP"] == pytest.approx(result.best["mAP"], abs=1e-6)
    # An evaluation that is made up for, by a process that has taken no step.
    (tmp_path / "evaluated.json").unlink()
    assert train(config).figures == pytest.approx(result.figures, abs=1e-6)


@pytest.mark.slow
def test_fine_tuning_with_other_classes_names_what_was_left(trained, graph, tmp_path, capsys):
    runs.write_split(tmp_path / "train", [0, 1, 2, 0], classes=runs.CLASSES[:3])
    runs.write_split(tmp_path / "validation", [0, 1, 2], classes=runs.CLASSES[:3])
    settings = {"steps": 1, "steps_per_loop": 1, "validation_interval": 1}
    config = runs.config(
        tmp_path,
        tmp_path / "run",
        graph,
        **settings,
        checkpoint_interval=1,
        num_classes=3,
        learning_rate=1e-9,
        init_checkpoint=trained[0].train.model_dir,
    )
    train(config)
    screen = capsys.readouterr().out
    skipped = [line for line in screen.splitlines() if " there, " in line]
    assert "initialised" in screen
    assert len(skipped) == 2
    assert all("head/classifier" in line for line in skipped)
    source = runs.weights(evaluation.load_trained(trained[0].train.model_dir).checkpoint)
    here = runs.weights(tf.train.latest_checkpoint(str(tmp_path / "run")))
    kernels = [name for name in here if "/kernel/" in name and "classifier" not in name]
    assert len(kernels) > 5
    for name in kernels:
        np.testing.assert_allclose(here[name], source[name], atol=1e-6)


@pytest.mark.slow
def test_resumed_equals_undisturbed(data, rgb_graph, tmp_path, capsys):
    """The same command goes on; e2e/test_survival.py lets a run go on with more steps than it had."""
    settings = {"ema_decay": 0.9, "flip": True, "precise_batch_norm_batches": 2}
    settings |= {"frame_share": 0.25, "mixup_alpha": 0.4}
    train(runs.config(data, tmp_path / "whole", rgb_graph, steps=8, **settings))
    runs.set_back(tmp_path / "whole", tmp_path / "parts", step=4)
    capsys.readouterr()
    train(runs.config(data, tmp_path / "parts", rgb_graph, steps=8, **settings))
    assert "at step 4 of 8" in capsys.readouterr().out
    whole, parts = (
        tf.train.load_checkpoint(tf.train.latest_checkpoint(str(tmp_path / name)))
        for name in ("whole", "parts")
    )
    names = whole.get_variable_to_shape_map()
    compared = [name for name in names if name.startswith("model/")]
    assert any("OPTIMIZER_SLOT/optimizer/average" in name for name in compared)
    assert COUNT_KEY in compared
    for name in compared:
        np.testing.assert_allclose(
            whole.get_tensor(name), parts.get_tensor(name), atol=2e-6, err_msg=name
        )
    # The last checkpoint's statistics are precise already, and of the averaged weights.
    latest = evaluation.load_trained(tmp_path / "parts", "latest")
    expected = [v.numpy() for v in latest.model.non_trainable_variables]
    recompute_on_training_data(latest.model, latest.config, 2, latest.strategy)
    for variable, value in zip(latest.model.non_trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-5, atol=1e-6, err_msg=variable.name)


def test_another_model_or_data_is_refused(trained, data, graph, tmp_path):
    config, _ = trained
    folder = config.train.model_dir
    before = sorted(path.name for path in Path(folder).iterdir())
    other = runs.save_small(tmp_path, name="wider", last=16)
    runs.write_split(tmp_path / "train", [0, 1, 2, 3], seed=7)
    runs.write_split(tmp_path / "validation", [0, 1, 2, 3], seed=8)
    for changed, words in (
        (runs.config(data, folder, other), "the architecture was 'small', is 'wider'"),
        (runs.config(data, folder, graph, gate="self"), "model.gate was 'peer', is 'self'"),
        (runs.config(data, folder, graph, frames=2), "train_data.frames was 4, is 2"),
        (runs.config(tmp_path, folder, graph), "the train data has another fingerprint"),
    ):
        with pytest.raises(UserError) as raised:
            train(changed)
        assert words in str(raised.value)
        assert "\n" not in str(raised.value)
    assert sorted(path.name for path in Path(folder).iterdir()) == before


def test_a_finished_run_keeps_the_settings_it_was_trained_with(trained, capsys):
    """The same command with fewer steps and another rate reports the step that was reached, and changes nothing."""
    config, result = trained
    files = [Path(config.train.model_dir) / name for name in ("config.json", "config.gin")]
    before = [file.read_text() for file in files]
    optimizer = dataclasses.replace(config.optimizer, learning_rate=0.5)
    changed = dataclasses.replace(
        config,
        train=dataclasses.replace(config.train, steps=20),
        optimizer=optimizer,
        architecture_optimizer=optimizer,
    )
    again = train(changed)
    assert (again.step, again.figures) == (40, result.figures)
    assert "trained to step 40 in" in summary_line(again)
    screen = capsys.readouterr().out
    assert "is at step 40: nothing is left to train" in screen
    assert "not used, since nothing is trained: optimizer.learning_rate was 0.05, is 0.5" in screen
    assert [file.read_text() for file in files] == before


def test_another_process_in_the_folder_is_reported(trained):
    config, _ = trained
    refused = pytest.raises(UserError, match=r"One process at a time .*in use by process \d+")
    with folder_locked(config.train.model_dir, "TrainSpec.model_dir", "training"), refused:
        train(config)


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_before_it_is_saved(data, rgb_graph, tmp_path):
    settings = {"steps_per_loop": 1, "checkpoint_interval": 1, "validation_interval": 1}
    train(runs.config(data, tmp_path, rgb_graph, steps=1, **settings))
    good = tf.train.latest_checkpoint(str(tmp_path))
    with pytest.raises(UserError, match=r"^(The loss|Scores) must .*number") as raised:
        train(runs.config(data, tmp_path, rgb_graph, steps=9, learning_rate=1e30, **settings))
    assert "\n" not in str(raised.value)
    latest = evaluation.load_trained(tmp_path, "latest")
    assert latest.step >= 1
    # Of the rate that broke the run the folder has no record, unless a checkpoint was trained with it.
    has_trained = latest.step > 1
    assert latest.config.optimizer.learning_rate == (1e30 if has_trained else 0.05)
    assert (tmp_path / "changes.json").is_file() == has_trained
    assert all(np.isfinite(value).all() for value in runs.weights(good).values())


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory):
    """Data in which the flow of one video, v5 of 16, is NaN: its record has such a bound."""
    folder = tmp_path_factory.mktemp("poisoned")
    scenes = [n % 4 for n in range(16)]
    runs.write_split(folder / "train", scenes, bounds={5: float("nan")})
    runs.write_split(folder / "validation", [0, 1, 2, 3], seed=100)
    return folder


@pytest.fixture(scope="module")
def flow_graph(tmp_path_factory):
    return runs.save_small(tmp_path_factory.mktemp("flow_graph"), streams=("flow",))


EVERY_STEP = {"steps_per_loop": 1, "checkpoint_interval": 1, "validation_interval": 9}


@pytest.mark.slow
def test_a_batch_that_breaks_the_loss_is_left_out(poisoned, flow_graph, tmp_path, capsys):
    """Four steps are a pass over the data: the video comes up twice in eight."""
    config = runs.config(poisoned, tmp_path, flow_graph, steps=8, rollbacks=2, **EVERY_STEP)
    assert train(config).step == 8
    lines = [line for line in capsys.readouterr().out.splitlines() if "going back" in line]
    skipped = json.loads((tmp_path / "skipped.json").read_text())["batches"]
    assert 1 <= len(lines) == len(skipped) <= 2
    assert all("v5" in batch["videos"] for batch in skipped)
    assert [json.loads(line)["step"] for line in _loop_lines(tmp_path)] == list(range(1, 9))
    newest = tf.train.latest_checkpoint(str(tmp_path))
    assert all(np.isfinite(value).all() for value in runs.weights(newest).values())


def _loop_lines(folder):
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [line for line in lines if json.loads(line)["kind"] == "loop"]


def test_a_batch_that_breaks_the_loss_is_named(poisoned, flow_graph, tmp_path):
    """Without roll-backs the run ends there, with the step and the batch's videos, and keeps what was good."""
    with pytest.raises(UserError, match=r"must be finite\. .* at step [1-4], on videos .*\bv5\b"):
        train(runs.config(poisoned, tmp_path, flow_graph, steps=8, **EVERY_STEP))
    newest = tf.train.latest_checkpoint(str(tmp_path))
    assert newest is None or all(np.isfinite(v).all() for v in runs.weights(newest).values())


@pytest.mark.slow
def test_half_precision_trains_and_intervals_need_not_divide_each_other(data, rgb_graph, tmp_path):
    """bfloat16; test_whole_step.py takes steps in float16, whose loss is scaled.

    Loops of 6 steps, checkpoints at 9, 18 and the end, evaluations at 10, 20 and the end.
    """
    config = runs.config(
        data,
        tmp_path,
        rgb_graph,
        steps=25,
        steps_per_loop=6,
        validation_interval=10,
        precision="mixed_bfloat16",
        checkpoint_interval=9,
    )
    result = train(config)
    losses = losses_of(tmp_path)
    assert losses[25] < 0.8 * losses[6]
    assert {path.stem for path in tmp_path.glob("ckpt-*.index")} == {"ckpt-9", "ckpt-18", "ckpt-25"}
    assert evaluated_steps(tmp_path) == {10, 20, 25}
    assert tf_keras.mixed_precision.global_policy().name == "float32"
    whole = evaluated(evaluation.load_trained(tmp_path))
    assert whole.figures["mAP"] == pytest.approx(result.best["mAP"], abs=0.2)


def evaluated_steps(folder):
    events = [
        tf.compat.v1.Event.FromString(record.numpy())
        for file in sorted(folder.glob("validation/events*"))
        for record in tf.data.TFRecordDataset(str(file))
    ]
    return {event.step for event in events if event.summary.value}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"best_metric": "top1"}, "Did you mean 'top_1'"),
        ({"name": "sdg"}, "OptimizerSpec.name"),
    ],
)
def test_mistakes_leave_nothing_behind(settings, words, data, graph, tmp_path):
    with pytest.raises(UserError) as raised:
        train(runs.config(data, tmp_path / "run", graph, **settings))
    assert words in str(raised.value)
    assert not (tmp_path / "run").exists()


# Small steps of a smooth network: rounding, which differs, does not grow over so many of them.
SMOOTH = {"steps": 6, "learning_rate": 0.001, "frame_pooling": "mean", "batch_size": 8}
SMOOTH |= {"frame_share": 0.25}


@pytest.mark.slow
def test_two_devices_train_as_one(data, rgb_graph, tmp_path):
    steps = SMOOTH["steps"]
    settings = json.dumps(SMOOTH)
    command = [
        sys.executable,
        "-m",
        "tests.training.training_on_two_devices",
        str(data),
        rgb_graph,
        str(tmp_path),
        settings,
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (losses_of(tmp_path / name) for name in ("one_device", "mirrored"))
    assert list(one) == list(range(1, steps + 1))
    np.testing.assert_allclose([*two.values()], [*one.values()], rtol=1e-4)
    one, two = (
        json.loads((tmp_path / n / "result.json").read_text()) for n in ("one_device", "mirrored")
    )
    # One device averages the unbiased variance (Keras's fused kernel), several the biased one: n / (n - 1).
    assert two["figures"] == pytest.approx(one["figures"], rel=3e-3)
