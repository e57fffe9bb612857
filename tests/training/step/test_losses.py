"""Losses against numpy by hand."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.specs import LossSpec
from official_vision.training.step.losses import (
    ClipLoss,
    clip_losses,
    l2_penalty,
    mean_of_real,
    with_decay,
)

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 3, (4, 5)).astype(np.float32)
MULTI_HOT = np.float32([[1, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
# Mixed from two clips by unequal shares (mixup, cutmix): neither 0 nor 1.
MIXED = 0.7 * MULTI_HOT + 0.3 * MULTI_HOT[::-1]
ONE_HOT = np.eye(5, dtype=np.float32)[[2, 0, 4, 1]]


NO_CHANGE = LossSpec()
COUNTS, VIDEOS = (60, 30, 6, 3, 1), 100


def mean_loss(logits, labels, mask, activation, **settings):
    losses = ClipLoss(LossSpec(**settings), activation, COUNTS, VIDEOS)(logits, labels)
    return mean_of_real(losses, mask)


def by_hand(logits, labels, activation, spec=NO_CHANGE):
    """Every setting in float64, from the papers' formulas in p."""
    logits, counts = logits.astype(np.float64), np.array(COUNTS, float)
    if spec.class_weights == "inverse_frequency":
        weights = counts.sum() / (5 * counts)  # what scikit-learn calls balanced
    elif spec.class_weights == "effective_number":
        beta = spec.effective_number_beta
        weights = np.array([1 / sum(beta**k for k in range(n)) for n in COUNTS])
        weights *= counts.sum() / (weights * counts).sum()
    else:
        weights = np.ones(5)
    if activation == "sigmoid":
        targets = labels * (1 - spec.label_smoothing) + spec.label_smoothing * 0.5
        prior = counts / VIDEOS
        p = 1 / (1 + np.exp(-logits) * ((1 - prior) / prior) ** spec.logit_adjustment)
        n = np.maximum(p - spec.negative_margin, 0)
        positive = targets * weights * (1 - p) ** spec.positive_focus * np.log(p)
        negative = (1 - targets) * n**spec.negative_focus * np.log(1 - n)
        return -(positive + negative).mean(axis=1)
    targets = labels * (1 - spec.label_smoothing) + spec.label_smoothing / labels.shape[1]
    odds = np.exp(logits) * (counts / counts.sum()) ** spec.logit_adjustment
    p = odds / odds.sum(axis=1, keepdims=True)
    return -(targets * weights * (1 - p) ** spec.positive_focus * np.log(p)).sum(axis=1)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"label_smoothing": 0.1},
        {"class_weights": "inverse_frequency"},
        {"class_weights": "effective_number", "effective_number_beta": 0.9},
        {"class_weights": "effective_number", "effective_number_beta": 0.0},
        {"positive_focus": 2.0},
        {"logit_adjustment": 1.5},
        {"label_smoothing": 0.2, "class_weights": "inverse_frequency", "logit_adjustment": 1.0},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("activation", "labels"),
    [
        ("sigmoid", MULTI_HOT),
        ("sigmoid", MIXED),
        ("softmax", ONE_HOT),
        ("softmax", 0.7 * ONE_HOT + 0.3 * ONE_HOT[::-1]),
    ],
)
def test_mean_over_real_rows(activation, labels, settings):
    expected = by_hand(LOGITS, labels, activation, LossSpec(**settings))
    losses = ClipLoss(LossSpec(**settings), activation, COUNTS, VIDEOS)(LOGITS, labels)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    loss = mean_loss(LOGITS, labels, np.float32([1, 1, 0, 1]), activation, **settings)
    np.testing.assert_allclose(loss, expected[[0, 1, 3]].mean(), rtol=1e-4)


@pytest.mark.parametrize("margin", [0.0, 0.05])
@pytest.mark.parametrize("exponent", [0.5, 4.0])
def test_classes_that_a_clip_lacks_count_less_where_they_are_unlikely(exponent, margin):
    settings = {"positive_focus": 1.0, "negative_focus": exponent, "negative_margin": margin}
    spec = LossSpec(**settings, class_weights="inverse_frequency")
    losses = ClipLoss(spec, "sigmoid", COUNTS, VIDEOS)(LOGITS, MIXED)
    np.testing.assert_allclose(losses, by_hand(LOGITS, MIXED, "sigmoid", spec), rtol=1e-4)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("exponent", [0.5, 2.0])
def test_gradients_of_sure_and_of_wrong_clips_are_finite(activation, exponent):
    settings = {"positive_focus": exponent, "class_weights": "inverse_frequency"}
    if activation == "sigmoid":
        settings |= {"negative_focus": exponent, "negative_margin": 0.05}
    logits = tf.Variable([[200.0, -200, 0, 0, 0], [-200.0, 200, -2, -3, -4]])
    with tf.GradientTape() as tape:
        loss = ClipLoss(LossSpec(**settings), activation, COUNTS, VIDEOS)(
            logits, np.eye(5, dtype=np.float32)[[0, 0]]
        )
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_an_adjusted_network_ranks_rare_classes_as_if_they_were_frequent():
    """Logits that only know the classes' frequencies are 0 once training has added those: no class is preferred."""
    free = tf.Variable(tf.zeros([1, 5]))
    loss = ClipLoss(LossSpec(logit_adjustment=1.0), "softmax", COUNTS, VIDEOS)
    optimizer = tf.keras.optimizers.SGD(1.0)
    labels = np.repeat(np.eye(5, dtype=np.float32), COUNTS, axis=0)
    for _ in range(20):
        with tf.GradientTape() as tape:
            mean = tf.reduce_mean(loss(tf.tile(free, [VIDEOS, 1]), labels))
        optimizer.apply_gradients([(tape.gradient(mean, free), free)])
    np.testing.assert_allclose(free, np.zeros([1, 5]), atol=1e-5)


@pytest.mark.parametrize("name", ["negative_focus", "negative_margin"])
def test_softmax_has_no_terms_of_absent_classes(name):
    with pytest.raises(UserError, match=rf"LossSpec.{name} .*softmax.*Received: 0.25.*Leave it"):
        ClipLoss(LossSpec(**{name: 0.25}), "softmax", COUNTS, VIDEOS)


@pytest.mark.parametrize(
    "settings", [{"class_weights": "inverse_frequency"}, {"logit_adjustment": 1.0}]
)
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_classes_without_a_training_video_keep_losses_finite(activation, settings):
    loss = ClipLoss(LossSpec(**settings), activation, (4, 0, 0, 0, 0), 4)
    assert np.isfinite(loss(LOGITS, ONE_HOT)).all()


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_the_loss_of_mixed_labels_is_the_mixed_loss(activation):
    """Cross entropy is linear in the labels: what mixup's authors state as its loss."""
    first, second = ONE_HOT, ONE_HOT[::-1]
    loss = ClipLoss(LossSpec(label_smoothing=0.1), activation, COUNTS, VIDEOS)
    losses = [loss(LOGITS, labels) for labels in (first, second)]
    mixed = loss(LOGITS, 0.7 * first + 0.3 * second)
    np.testing.assert_allclose(mixed, 0.7 * losses[0] + 0.3 * losses[1], rtol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_a_greater_batch_is_no_greater_step(activation):
    """A loss left as a vector would be summed by its gradient, which would grow with the batch."""
    labels = ONE_HOT
    gradients = []
    for copies in (1, 3):
        bias = tf.Variable(tf.zeros(5))
        with tf.GradientTape() as tape:
            loss = mean_loss(
                np.tile(LOGITS, (copies, 1)) + bias,
                np.tile(labels, (copies, 1)),
                np.ones(4 * copies, np.float32),
                activation,
            )
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
        loss = mean_loss(logits, MULTI_HOT, np.zeros(4, np.float32), "sigmoid")
    assert loss == 0
    assert not tape.gradient(loss, logits).numpy().any()


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_half_precision_logits_are_summed_in_float32(activation):
    half = tf.cast(LOGITS, tf.bfloat16)
    loss = mean_loss(half, ONE_HOT, np.ones(4, np.float32), activation)
    assert loss.dtype == tf.float32
    expected = by_hand(tf.cast(half, tf.float32).numpy(), ONE_HOT, activation).mean()
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
    spec = LossSpec(frame_share=share, class_weights="inverse_frequency", label_smoothing=0.1)
    rows = (outputs["frame_logits"].reshape(12, 5), frames.reshape(12, 5))
    of_frames = by_hand(*rows, activation, spec).reshape(4, 3).mean(axis=1)
    expected = (1 - share) * by_hand(LOGITS, ONE_HOT, activation, spec) + share * of_frames
    actual = ClipLoss(spec, activation, COUNTS, VIDEOS).of_batch(outputs, targets)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


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
