"""Learning from a teacher's scores, against divergences by hand; and what can't be a teacher."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_vision.data.storage.index import Index
from official_vision.errors import UserError
from official_vision.modeling.builder import build_model
from official_vision.training.clip_scoring import load_trained
from official_vision.training.run import train
from official_vision.training.step.distillation import check_teacher, distillation_losses
from tests.training import runs, steps

RANDOM = np.random.default_rng(0)
LOGITS, TAUGHT = RANDOM.normal(0, 3, (2, 6, 4)).astype(np.float32)


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def by_hand(logits, taught, activation, temperature):
    logits, taught = (x.astype(np.float64) / temperature for x in (logits, taught))
    if activation == "softmax":
        log_p, log_q = log_softmax(taught), log_softmax(logits)
        return temperature**2 * (np.exp(log_p) * (log_p - log_q)).sum(axis=1)
    p, q = (1 / (1 + np.exp(-x)) for x in (taught, logits))
    each = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return temperature**2 * each.mean(axis=1)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergence_by_hand(activation, temperature):
    losses = distillation_losses(LOGITS, TAUGHT, activation, temperature)
    expected = by_hand(LOGITS, TAUGHT, activation, temperature)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    alike = distillation_losses(LOGITS, LOGITS, activation, temperature)
    np.testing.assert_allclose(alike, np.zeros(6), atol=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_sure_networks_that_differ_have_finite_losses_and_gradients(activation):
    logits = tf.Variable([[500.0, -500.0], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        losses = distillation_losses(logits, [[-500.0, 500.0]] * 2, activation, 2.0)
    assert np.isfinite(losses).all()
    assert np.isfinite(tape.gradient(losses, logits)).all()


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A teacher's run, which reads flow too, and the settings of one that learns from it by rgb alone."""
    folder = tmp_path_factory.mktemp("taught")
    data = runs.write_data(folder / "data")
    graph = runs.save_small(folder, streams=("rgb", "flow"))
    train(runs.config(data, folder / "teacher", graph, steps=2, validation_interval=2))
    (folder / "narrow").mkdir()
    narrow = runs.save_small(folder / "narrow", streams=("rgb",))
    settings = {"teacher": str(folder / "teacher"), "teacher_weight": 0.75}
    config = runs.config(data, folder / "run", narrow, steps=4, checkpoint_interval=2, **settings)
    return config, folder


def test_a_step_minimises_both_parts(taught):
    config, folder = taught
    spec = dataclasses.replace(config.loss, teacher=str(folder / "teacher"))
    task = steps.make_task(streams=("rgb",), **dataclasses.asdict(spec))
    features, targets = steps.batch()
    model, optimizer = steps.start(task)
    logits = model(features, training=True)["logits"].numpy()
    teacher = load_trained(folder / "teacher").model
    scores = teacher(features, training=False)["logits"].numpy()
    of_labels = -(log_softmax(logits) * targets["labels"].numpy()).sum(axis=1)
    losses = 0.25 * of_labels + 0.75 * by_hand(logits, scores, "softmax", 2.0)
    loss = task.train_step((features, targets), model, optimizer)[task.loss]
    assert float(loss) == pytest.approx(losses[:3].mean(), rel=1e-4)  # the last row is padding
    for here, there in zip(task._teacher.variables, teacher.variables, strict=True):
        np.testing.assert_array_equal(here, there)  # the teacher does not learn


def test_a_run_is_taught_and_goes_on_as_if_undisturbed(taught, capsys):
    config, folder = taught
    train(config)
    assert "0.75 of it from" in capsys.readouterr().out
    whole = runs.weights(str(folder / "run" / "ckpt-4"))
    assert len(whole) == len(build_model(config.model).variables) + 1  # and the count of updates
    runs.set_back(folder / "run", folder / "again", 2)
    train(
        dataclasses.replace(
            config, train=dataclasses.replace(config.train, model_dir=str(folder / "again"))
        )
    )
    again = runs.weights(str(folder / "again" / "ckpt-4"))
    for name, value in whole.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)
    untaught = dataclasses.replace(config.loss, teacher="")
    elsewhere = dataclasses.replace(config.train, model_dir=str(folder / "untaught"))
    train(dataclasses.replace(config, loss=untaught, train=elsewhere))
    alone = runs.weights(str(folder / "untaught" / "ckpt-4"))
    assert any(not np.array_equal(alone[name], value) for name, value in whole.items())


def test_networks_that_cannot_teach_are_refused(taught, tmp_path):
    config, folder = taught
    index = Index.read(folder / "data" / "train")
    check_teacher(config.loss, "softmax", index)
    with pytest.raises(
        UserError, match=r"activation is softmax, not sigmoid.*ModelSpec.activation"
    ):
        check_teacher(config.loss, "sigmoid", index)
    with pytest.raises(UserError, match=r"reads rgb, flow, and the data lack flow"):
        check_teacher(config.loss, "softmax", dataclasses.replace(index, streams=("rgb",)))
    other = dataclasses.replace(index, classes=("red", "green", "blue", "black"))
    with pytest.raises(UserError, match=r"other classes than the data's.*black"):
        check_teacher(config.loss, "softmax", other)
    with pytest.raises(UserError, match=r"which has none"):
        check_teacher(dataclasses.replace(config.loss, teacher=str(tmp_path)), "softmax", index)
    shutil.copytree(
        folder / "teacher", tmp_path / "bare", ignore=shutil.ignore_patterns("*ckpt*", "checkpoint")
    )
    with pytest.raises(UserError, match=r"best, latest or a path prefix"):
        check_teacher(
            dataclasses.replace(config.loss, teacher=str(tmp_path / "bare")), "softmax", index
        )
