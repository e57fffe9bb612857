"""The count of batches behind batch norms' statistics after loading."""

import pytest
import tensorflow as tf

from official_vision.training.checkpoints.restore import (
    COUNT_KEY,
    load_weights,
    restore_model,
    statistics_of,
)
from tests.modeling import small


@pytest.fixture(scope="module")
def network():
    return small.network(small.architecture())


def written(network, folder, batches, lacks=()):
    """A checkpoint whose statistics are of some batches, without the variables of which `lacks` has the keys."""
    network.update_count.variable.assign(batches)
    reader = tf.train.load_checkpoint(tf.train.Checkpoint(model=network).write(str(folder / "all")))
    names = [name for name in reader.get_variable_to_shape_map() if name not in lacks]
    tf.raw_ops.SaveV2(
        prefix=str(folder / "less"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(reader.get_tensor(name)) for name in names],
    )
    return str(folder / "less")


@pytest.mark.parametrize(
    ("batches", "restored", "loaded"), [(250.0, 250, 10), (4.0, 4, 4), (None, 10, 10)]
)
def test_loaded_statistics_count_as_ten_batches_at_most(
    network, tmp_path, batches, restored, loaded
):
    path = written(network, tmp_path, batches or 0.0, () if batches else (COUNT_KEY,))
    restore_model(network, path)
    assert float(network.update_count.variable) == restored
    lines = load_weights(network, path)
    assert float(network.update_count.variable) == loaded
    assert len(lines) == 1  # the count is no weight


def test_they_count_nothing_where_a_norm_has_none(network, tmp_path):
    statistics = next(iter(statistics_of(network)))
    load_weights(network, written(network, tmp_path, 250.0, (statistics,)))
    assert float(network.update_count.variable) == 0
    biases = [key for key in weights_in(tmp_path / "all") if "classifier/bias" in key]
    load_weights(network, written(network, tmp_path, 250.0, biases))
    assert float(network.update_count.variable) == 10


def weights_in(path):
    return tf.train.load_checkpoint(str(path)).get_variable_to_shape_map()
