"""Precise batch norm: statistics of all rows, by numpy; what is frozen stays."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision import formats
from official_vision.modeling.inputs import normalise_rgb
from official_vision.training.checkpoints.recompute_norms import repair
from official_vision.training.checkpoints.restore import COUNT_KEY, find_checkpoint
from official_vision.training.clip_scoring import load_trained
from official_vision.training.step.precise_batch_norm import (
    recompute_on_training_data,
    recompute_statistics,
    trained_norms,
)
from tests.modeling import small
from tests.training import untrained


def test_statistics_are_those_of_all_rows():
    model = small.network(small.architecture(), rgb_mean=0.0, rgb_deviation=1.0)
    batches = [small.clips(seed=seed) for seed in range(3)]
    batches[1]["rgb"] //= 4  # unlike the others
    stem = model.node_layers["0"]
    rows = np.concatenate(
        [
            stem.spatial(tf.reshape(normalise_rgb(b["rgb"], 0, 1, tf.float32), [-1, 32, 32, 3]))
            for b in batches
        ]
    ).astype(np.float64)
    recompute_statistics(model, batches, lambda batch: model(batch, training=True))
    np.testing.assert_allclose(
        stem.spatial_norm.moving_mean, rows.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        stem.spatial_norm.moving_variance, rows.var(axis=(0, 1, 2)), rtol=1e-3
    )
    assert float(model.update_count.variable) == 3  # training that goes on adds the fourth batch


def test_frozen_norms_keep_their_statistics_and_no_weight_moves():
    model = small.network(small.architecture())
    norms = trained_norms(model)
    norms[0].trainable = False
    assert trained_norms(model) == norms[1:]
    weights = [v.numpy() for v in model.trainable_variables]
    frozen_mean, old = norms[0].moving_mean.numpy(), norms[1].moving_mean.numpy()
    recompute_statistics(model, [small.clips()], lambda batch: model(batch, training=True))
    np.testing.assert_array_equal(norms[0].moving_mean, frozen_mean)
    assert np.abs(norms[1].moving_mean.numpy() - old).max() > 1e-3
    for variable, before in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable, before)


@pytest.mark.slow
def test_a_repaired_run_has_the_statistics_of_its_weights_and_nothing_else_is_changed(tmp_path):
    folder = untrained.write_run(tmp_path, frozen=("node_00/",))
    record = {"step": 7, "figures": {"mAP": 9.0, "best_mAP": 9.0}, "best": {"mAP": 9.0}}
    formats.RESULT.write(folder / "result.json", record)
    checkpoint = find_checkpoint(folder, "latest")
    before = tensors(checkpoint)
    repaired = repair(folder, "latest", 2)
    now = tensors(checkpoint)
    changed = {name for name in now if not np.array_equal(now[name], before[name])}
    assert now.keys() == before.keys()
    assert len(changed) > 10
    for name in changed - {COUNT_KEY}:
        assert "/moving_" in name
        assert "/node_layers/0/" not in name  # frozen
    assert now[COUNT_KEY] == 2
    # Recomputed without the run, they are the same.
    trained = load_trained(folder, "latest")
    moving = [v for v in trained.model.variables if "/moving_" in v.name]
    expected = [v.numpy() for v in moving]
    trained.model.node_layers["0"].trainable = False
    recompute_on_training_data(trained.model, trained.config, 2, trained.strategy)
    for variable, value in zip(moving, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-5, atol=1e-6, err_msg=variable.name)
    written = formats.RESULT.read(folder / "result.json")
    assert written == {**record, "figures": {"mAP": repaired.after["mAP"], "best_mAP": 9.0}}
    assert repaired.after["validation_loss"] != repaired.before["validation_loss"]


def tensors(checkpoint):
    reader = tf.train.load_checkpoint(checkpoint)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
