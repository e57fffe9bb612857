"""The whole step of a small network: its loss, overflowing in float16, moved by addons' optimizers."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from official_vision.modeling.execution import in_precision
from tests.training import runs, steps


def test_the_reported_loss_is_of_clips_and_the_decay_is_reported_beside_it():
    """By numpy: the cross entropy of the three real clips, as validation's, and decay / 2 of squared kernels."""
    task = steps.make_task(weight_decay=3.0, frame_pooling="mean")
    model, _ = steps.start(task)
    features, targets = steps.batch()
    logits = model(features, training=True)["logits"].numpy().astype(np.float64)[:3]
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(3), np.arange(3)]
    assert float(task._loss(model, (features, targets), 3.0, None)) == pytest.approx(
        losses.mean(), 1e-5
    )
    kernels = [kernel.numpy().astype(np.float64) for kernel in model.kernels()]
    penalty = 3.0 / 2 * sum((kernel**2).sum() for kernel in kernels)
    assert task.added_losses(1) == {"weight_decay": pytest.approx(penalty, rel=1e-5)}


def test_a_step_trains_frames_of_real_clips_by_their_own_labels():
    """Compared with numpy: padding is left out of the loss, and two half batches give the whole batch's step."""
    share, settings = 0.25, {"activation": "sigmoid", "frozen": steps.NO_BATCH_STATISTICS}
    settings |= {"frame_share": share, "streams": ("rgb",), "learning_rate": 0.1}
    task = steps.make_task(**settings)
    features, targets = steps.batch()
    features = {"rgb": features["rgb"]}
    random = np.random.default_rng(0)
    frames = (random.random((4, runs.FRAMES, 4)) < 0.4).astype(np.float32)
    inputs = (features, {**targets, "frame_labels": tf.constant(frames)})
    model, _ = steps.start(task)
    outputs = {n: x.numpy().astype(np.float64) for n, x in model(features, training=True).items()}

    def entropy(logits, labels):
        return (np.logaddexp(0, logits) - labels * logits)[:3].mean()

    of_clips = entropy(outputs["logits"], targets["labels"].numpy())
    expected = (1 - share) * of_clips + share * entropy(outputs["frame_logits"], frames)
    (loss,), moved = steps.after(task, inputs=inputs)
    assert loss == pytest.approx(expected, rel=1e-5)
    in_parts = steps.make_task(accumulation_steps=2, **settings)
    (loss,), weights = steps.after(in_parts, inputs=inputs)
    assert loss == pytest.approx(expected, rel=1e-5)
    steps.assert_close(weights, moved, atol=1e-5)


@pytest.mark.slow
def test_an_overflow_in_float16_is_passed_over():
    """The scale is halved until gradients are finite; till then no weight moves, and then they do."""
    with in_precision("mixed_float16"):
        task = steps.make_task(precision="mixed_float16", learning_rate=0.01)
        model, optimizer = steps.start(task)
        scale = optimizer._loss_scale.current_loss_scale
        scale.assign(2.0**40)  # beyond float16, whose greatest number is 65504
        step = tf.function(lambda batch: task.train_step(batch, model, optimizer)[task.loss])
        trained = {steps.name_of(variable) for variable in model.trainable_variables}
        before = steps.weights(model)
        skipped = 0
        while not steps.moved(before, steps.weights(model)) & trained:
            expected = float(scale) / 2
            assert np.isfinite(float(step(steps.batch())))
            if not steps.moved(before, steps.weights(model)) & trained:
                assert float(scale) == expected
                skipped += 1
                assert int(optimizer.iterations) == skipped  # schedules count it
            assert skipped < 45
        assert skipped > 10
        assert int(optimizer.iterations) == skipped + 1
        assert all(np.isfinite(value).all() for value in steps.weights(model).values())


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tensorflow-addons is not made for it")
@pytest.mark.parametrize(
    ("name", "rate"), [("AdamW", 1e-3), ("LAMB", 1e-2), ("MovingAverage", 1e-2)]
)
def test_optimizers_of_addons_train_a_network(name, rate):
    task = steps.make_task(name=f"tfa:{name}", learning_rate=rate, weight_decay=0.0)
    losses, _ = steps.after(task, steps=12)
    assert losses[-1] < 0.7 * losses[0]
    assert np.isfinite(losses).all()
