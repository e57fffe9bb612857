"""Losses against numpy by hand."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision.training.step.losses import (
    clip_losses,
    l2_penalty,
    losses_with_frames,
    mean_of_real,
    with_decay,
)

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 3, (4, 5)).astype(np.float32)
MULTI_HOT = np.float32([[1, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
# Mixed from two clips by unequal shares (mixup, cutmix): neither 0 nor 1.
MIXED = 0.7 * MULTI_HOT + 0.3 * MULTI_HOT[::-1]
ONE_HOT = np.eye(5, dtype=np.float32)[[2, 0, 4, 1]]


def by_hand(logits, labels, activation, smoothing):
    logits = logits.astype(np.float64)
    if activation == "sigmoid":
        targets = labels * (1 - smoothing) + smoothing * 0.5
        p = 1 / (1 + np.exp(-logits))
        return -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(axis=1)
    targets = labels * (1 - smoothing) + smoothing / labels.shape[1]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -(targets * np.log(p)).sum(axis=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    ("activation", "labels"),
    [
        ("sigmoid", MULTI_HOT),
        ("sigmoid", MIXED),
        ("softmax", ONE_HOT),
        ("softmax", 0.7 * ONE_HOT + 0.3 * ONE_HOT[::-1]),
    ],
)
def test_mean_over_real_rows(activation, labels, smoothing):
    expected = by_hand(LOGITS, labels, activation, smoothing)
    np.testing.assert_allclose(
        clip_losses(LOGITS, labels, activation, smoothing), expected, rtol=1e-5
    )
    mask = np.float32([1, 1, 0, 1])
    loss = mean_of_real(clip_losses(LOGITS, labels, activation, smoothing), mask)
    np.testing.assert_allclose(loss, expected[[0, 1, 3]].mean(), rtol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_the_loss_of_mixed_labels_is_the_mixed_loss(activation):
    """Cross entropy is linear in the labels: what mixup's authors state as its loss."""
    first, second = ONE_HOT, ONE_HOT[::-1]
    losses = [clip_losses(LOGITS, labels, activation, 0.1) for labels in (first, second)]
    mixed = clip_losses(LOGITS, 0.7 * first + 0.3 * second, activation, 0.1)
    np.testing.assert_allclose(mixed, 0.7 * losses[0] + 0.3 * losses[1], rtol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_a_greater_batch_is_no_greater_step(activation):
    """A loss left as a vector would be summed by its gradient, which would grow with the batch."""
    labels = ONE_HOT
    gradients = []
    for copies in (1, 3):
        bias = tf.Variable(tf.zeros(5))
        with tf.GradientTape() as tape:
            logits = np.tile(LOGITS, (copies, 1)) + bias
            losses = clip_losses(logits, np.tile(labels, (copies, 1)), activation)
            loss = mean_of_real(losses, np.ones(4 * copies, np.float32))
        assert loss.shape == []
        gradients.append(tape.gradient(loss, bias).numpy())
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-5)
    # By hand, the mean of p - y over clips (and classes).
    p = tf.sigmoid(LOGITS) if activation == "sigmoid" else tf.nn.softmax(LOGITS)
    share = 5 if activation == "sigmoid" else 1
    np.testing.assert_allclose(gradients[0], (p - labels).numpy().mean(0) / share, rtol=1e-4)


def test_filling_alone_costs_nothing_and_moves_nothing():
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = mean_of_real(clip_losses(logits, MULTI_HOT, "sigmoid"), np.zeros(4, np.float32))
    assert loss == 0
    assert not tape.gradient(loss, logits).numpy().any()


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_half_precision_logits_are_summed_in_float32(activation):
    half = tf.cast(LOGITS, tf.bfloat16)
    loss = mean_of_real(clip_losses(half, ONE_HOT, activation), np.ones(4, np.float32))
    assert loss.dtype == tf.float32
    expected = by_hand(tf.cast(half, tf.float32).numpy(), ONE_HOT, activation, 0.0).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_a_share_of_the_loss_is_of_frames(activation, share):
    """By numpy: the mean over a clip's frames; labels of frames may be mixed, too."""
    random = np.random.default_rng(1)
    outputs = {"logits": LOGITS, "frame_logits": random.normal(0, 2, (4, 3, 5)).astype(np.float32)}
    frames = np.eye(5, dtype=np.float32)[random.integers(0, 5, (4, 3))]
    frames = 0.7 * frames + 0.3 * frames[::-1]
    targets = {"labels": ONE_HOT, "frame_labels": frames} if share else {"labels": ONE_HOT}
    of_frames = by_hand(
        outputs["frame_logits"].reshape(12, 5), frames.reshape(12, 5), activation, 0.1
    )
    of_clips = by_hand(LOGITS, ONE_HOT, activation, 0.1)
    expected = (1 - share) * of_clips + share * of_frames.reshape(4, 3).mean(axis=1)
    actual = losses_with_frames(outputs, targets, activation, 0.1, share)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_extreme_logits_stay_finite():
    logits = np.float32([[1000, -1000]])
    wrong = np.float32([[0, 1]])
    assert clip_losses(logits, wrong, "sigmoid").numpy()[0] == pytest.approx(1000)
    assert clip_losses(logits, wrong, "softmax").numpy()[0] == pytest.approx(2000)


def test_gradient_of_the_penalty_is_decay_times_weight():
    kernels = [tf.Variable(RANDOM.normal(size=shape)) for shape in ((3, 4), (2, 2, 5))]
    with tf.GradientTape() as tape:
        penalty = l2_penalty(kernels, 0.02)
    for gradient, kernel in zip(tape.gradient(penalty, kernels), kernels, strict=True):
        np.testing.assert_allclose(gradient, 0.02 * kernel.numpy(), rtol=1e-5)
    squares = sum((kernel.numpy() ** 2).sum() for kernel in kernels)
    np.testing.assert_allclose(penalty, 0.01 * squares, rtol=1e-5)


def test_decay_is_added_to_gradients_of_kernels_alone():
    first, second, bias = (
        tf.Variable(RANDOM.normal(size=shape), dtype=tf.float32) for shape in ((3, 4), (2, 5), (4,))
    )
    gradients = [tf.ones([4]), tf.fill([3, 4], 2.0), None]
    actual = with_decay(gradients, [bias, first, second], [second, first], 0.1)
    np.testing.assert_array_equal(actual[0], gradients[0])
    np.testing.assert_allclose(actual[1], 2 + 0.1 * first.numpy(), rtol=1e-6)
    np.testing.assert_allclose(
        actual[2], 0.1 * second.numpy(), rtol=1e-6
    )  # the loss does not reach it
    assert with_decay([None], [bias], [first], 0.1) == [None]


def test_kernels_are_read_when_their_gradients_are_there():
    """Else a step would begin with the product of all weights, and keep it to the end."""
    kernel = tf.Variable(tf.ones([3]))

    @tf.function
    def step(x):
        return with_decay([tf.exp(x, name="gradient")], [kernel], [kernel], 0.1)

    graph = step.get_concrete_function(tf.zeros([3])).graph
    (read,) = (
        operation for operation in graph.get_operations() if operation.type == "ReadVariableOp"
    )
    assert [operation.name for operation in read.control_inputs] == ["gradient"]
