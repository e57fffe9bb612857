"""Mixed batches: all streams and labels by the same partner and share, whatever was drawn."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.input.mixing import cut_boxes, cutmix, draw_shares, mix_batch, mixup
from official_vision.specs import DataSpec

BATCH, FRAMES, SIZE = 4, 2, 16


@pytest.fixture(scope="module")
def batch():
    """Clip n is of one value in each stream, and alone in having class n."""
    shape = (BATCH, FRAMES, SIZE, SIZE)
    numbers = np.arange(BATCH).reshape(-1, 1, 1, 1)
    features = {
        "rgb": np.broadcast_to(np.uint8(20 + 60 * numbers)[..., np.newaxis], (*shape, 3)),
        "flow": np.broadcast_to(np.float32(numbers)[..., np.newaxis], (*shape, 2)),
        "objects": np.broadcast_to(np.uint8(numbers), shape),
    }
    targets = {
        "labels": np.eye(BATCH, dtype=np.float32),
        "mask": np.ones(BATCH, np.float32),
        "video": np.arange(BATCH, dtype=np.int32),
        # The first frame has the clip's class, the second the one before.
        "frame_labels": np.stack([np.eye(BATCH), np.roll(np.eye(BATCH), 1, axis=0)], axis=1).astype(
            np.float32
        ),
    }
    return tuple({n: tf.constant(x) for n, x in part.items()} for part in (features, targets))


def seeds(count):
    return [tf.constant([2, number], tf.int64) for number in range(count)]


def mixed(batch, spec, seed):
    features, targets = mix_batch(*batch, spec, seed)
    return (
        {name: x.numpy() for name, x in features.items()},
        {name: x.numpy() for name, x in targets.items()},
    )


def assert_frames_mixed(targets, batch):
    """Frame by frame, by the clip's share of its partner."""
    partner, share = partner_and_share(targets["labels"])
    share, frames = share[:, np.newaxis, np.newaxis], batch[1]["frame_labels"].numpy()
    expected = share * frames + (1 - share) * frames[partner]
    np.testing.assert_allclose(targets["frame_labels"], expected, atol=1e-6)


def partner_and_share(labels):
    """Read from the labels: row n has its share in column n."""
    share = np.diag(labels)
    others = labels - np.diag(share)
    return others.argmax(1), share


def test_mixup_mixes_streams_as_labels(batch):
    for seed in seeds(10):
        features, targets = mixed(batch, DataSpec(mixup_alpha=1.0), seed)
        np.testing.assert_allclose(targets["labels"].sum(1), 1, rtol=1e-6)
        assert_frames_mixed(targets, batch)
        partner, share = partner_and_share(targets["labels"])
        indices = np.arange(BATCH)
        assert (partner != indices).all()
        values = share * indices + (1 - share) * partner
        expected = {"rgb": 20 + 60 * values, "flow": values}
        expected["objects"] = np.where(share >= 0.5, indices, partner)
        for name, tolerance in (("rgb", 0.501), ("flow", 1e-5), ("objects", 0)):
            x = features[name]
            wanted = expected[name].reshape(-1, *[1] * (x.ndim - 1))
            assert np.abs(x - wanted).max() <= tolerance, name
            assert x.dtype == batch[0][name].dtype
        np.testing.assert_array_equal(targets["video"], indices)


def test_cutmix_cuts_one_box_out_of_all_streams(batch):
    areas = set()
    for seed in seeds(20):
        features, targets = mixed(batch, DataSpec(cutmix_alpha=1.0), seed)
        np.testing.assert_allclose(targets["labels"].sum(1), 1, rtol=1e-6)
        assert_frames_mixed(targets, batch)
        partner, share = partner_and_share(targets["labels"])
        for row in range(BATCH):
            other = features["objects"][row] != row
            # The share is that of the box that was really cut.
            np.testing.assert_allclose(1 - other.mean(), share[row], atol=1e-6)
            values = np.where(other, partner[row], row)
            np.testing.assert_array_equal(features["objects"][row], values)
            np.testing.assert_array_equal(features["flow"][row], np.stack([values] * 2, -1))
            np.testing.assert_array_equal(features["rgb"][row, ..., 1], 20 + 60 * values)
            np.testing.assert_array_equal(other[0], other[-1])  # the same in all frames
            rows, columns = other[0].any(1), other[0].any(0)
            assert (other[0] == rows[:, np.newaxis] & columns).all()  # a box
            areas.add(int(other[0].sum()))
    assert len(areas) > 20


def test_both_are_taken_in_turn(batch):
    """A mixed rgb value that is no clip's is mixup's."""
    spec = DataSpec(mixup_alpha=1.0, cutmix_alpha=1.0)
    whole = {20 + 60 * n for n in range(BATCH)}
    kinds = [set(np.unique(mixed(batch, spec, seed)[0]["rgb"])) <= whole for seed in seeds(40)]
    assert 8 < sum(kinds) < 32


@pytest.mark.parametrize("spec", [DataSpec(mixup_alpha=0.3), DataSpec(cutmix_alpha=0.3)])
def test_masked_rows_neither_give_nor_take(batch, spec):
    features, targets = batch
    masked = {**targets, "mask": tf.constant([1.0, 0.0, 1.0, 1.0])}
    for seed in seeds(8):
        streams, after = mixed((features, masked), spec, seed)
        np.testing.assert_array_equal(after["labels"][1], [0, 1, 0, 0])
        np.testing.assert_array_equal(streams["rgb"][1], features["rgb"][1])
        assert (after["labels"][[0, 2, 3], 1] == 0).all()
        np.testing.assert_array_equal(after["mask"], masked["mask"])


def test_a_function_of_the_seed(batch):
    spec = DataSpec(mixup_alpha=0.4, cutmix_alpha=0.4)
    tf.random.set_seed(1)
    first = mixed(batch, spec, seeds(1)[0])
    tf.random.set_seed(2)
    graph = tf.function(lambda: mix_batch(*batch, spec, seeds(1)[0]))()
    tf.nest.map_structure(np.testing.assert_array_equal, first, tuple(graph))
    others = {mixed(batch, spec, seed)[1]["labels"].tobytes() for seed in seeds(20)}
    assert len(others) == 20


@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0, 8.0])
def test_shares_have_the_moments_of_beta(alpha):
    shares = draw_shares(alpha, 4000, seeds(1)[0]).numpy()
    assert ((shares >= 0) & (shares <= 1)).all()
    variance = 1 / (4 * (2 * alpha + 1))
    np.testing.assert_allclose(shares.mean(), 0.5, atol=5 * np.sqrt(variance / 4000))
    np.testing.assert_allclose(shares.var(), variance, rtol=0.1)


def test_tiny_alphas_leave_one_clip_whole():
    shares = draw_shares(1e-3, 500, seeds(1)[0]).numpy()
    assert np.isfinite(shares).all()
    assert (np.minimum(shares, 1 - shares) < 0.01).mean() > 0.9


@given(st.floats(0, 1, width=32), st.integers(16, 64), st.integers(0, 1000))
def test_boxes_are_cut_off_at_borders_only(share, size, number):
    (box,) = cut_boxes(tf.constant([share]), size, tf.constant([0, number])).numpy()
    side = int(np.float32(np.sqrt(np.float32(1 - np.float32(share))) * np.float32(size)))
    rows, columns = (np.flatnonzero(box.any(axis)) for axis in (1, 0))
    for places in (rows, columns):
        assert len(places) <= side
        if 0 < len(places) < side:
            assert places[0] == 0 or places[-1] == size - 1
    assert box.sum() == len(rows) * len(columns)


def test_parts_alone(batch):
    features, _ = batch
    partner = tf.constant([1, 2, 3, 0])
    unmixed = mixup(features, partner, tf.ones(BATCH))
    taken = mixup(features, partner, tf.zeros(BATCH))
    boxes = tf.ones([BATCH, SIZE, SIZE], tf.bool)
    cut = cutmix(features, partner, boxes)
    for name, x in features.items():
        np.testing.assert_array_equal(unmixed[name], x)
        np.testing.assert_array_equal(taken[name], tf.gather(x, partner))
        np.testing.assert_array_equal(cut[name], tf.gather(x, partner))


def test_streams_alone(batch):
    """A network of one stream is fed that one."""
    features, targets = batch
    for name in features:
        for spec in (DataSpec(mixup_alpha=1.0), DataSpec(cutmix_alpha=1.0)):
            spec = dataclasses.replace(spec)
            streams, _ = mix_batch({name: features[name]}, targets, spec, seeds(1)[0])
            whole, _ = mix_batch(features, targets, spec, seeds(1)[0])
            np.testing.assert_array_equal(streams[name], whole[name])
