"""Strengths and peers out of a checkpoint equal those of the built network."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision import config
from official_vision.architecture.formats import save_architecture
from official_vision.errors import UserError
from official_vision.modeling.inference.discretise import learned_strengths, peer_distributions
from official_vision.modeling.network import AssembleNet
from official_vision.training.checkpoints.learned_connectivity import learned_connectivity
from tests.modeling import small


def write_run(folder, **settings):
    """A run's folder with the checkpoint of an untrained network; returns the network."""
    peers = settings.pop("peers", False)
    graph = small.architecture(peers)
    model = AssembleNet(graph, small.spec(**settings))
    model.make_weights()
    small.liven(model, 3)
    bindings = [f"ModelSpec.{name} = {value!r}" for name, value in model.spec.to_dict().items()]
    config.load([], bindings).save(folder, {"train": "ab"})
    save_architecture(graph, folder / "architecture.json")
    step = tf.Variable(12, dtype=tf.int64)
    tf.train.Checkpoint(model=model, global_step=step).save(str(folder / "ckpt"))
    return model


@pytest.mark.parametrize(
    "settings", [{}, {"gate": "none"}, {"gate": "self"}, {"peers": True}], ids=str
)
def test_the_checkpoint_has_what_the_network_has(tmp_path, settings):
    model = write_run(tmp_path, **settings)
    learned = learned_connectivity(tmp_path, "latest")
    assert learned.architecture == model.architecture
    assert learned.strengths.keys() == learned_strengths(model).keys() == {3, 4, 5}
    for index, expected in learned_strengths(model).items():
        np.testing.assert_allclose(learned.strengths[index], expected, rtol=1e-6)
    expected = peer_distributions(model)
    assert bool(expected) == (settings == {})
    assert learned.peer_distributions.keys() == expected.keys()
    for index, rows in expected.items():
        np.testing.assert_allclose(learned.peer_distributions[index], rows, rtol=1e-6)
        assert np.ptp(rows) > 0.05
    assert learned.source["step"] == 12
    assert learned.source["checkpoint"].startswith(str(tmp_path))
    assert learned.source["data_fingerprints"] == {"train": "ab"}


def test_a_path_prefix_and_the_numbers_by_hand(tmp_path):
    model = write_run(tmp_path)
    model.blocks()[3].fusion.strength_logits.assign([0.0, np.log(3.0)])
    model.blocks()[3].gates[1].peer_logits.assign(np.log([1.0, 2.0, 5.0]))
    prefix = tf.train.Checkpoint(model=model).write(str(tmp_path / "by_hand"))
    learned = learned_connectivity(tmp_path, prefix)
    assert learned.strengths[3] == pytest.approx((0.5, 0.75))
    assert learned.peer_distributions[3][1] == pytest.approx((0.125, 0.25, 0.625))
    assert learned.choices()[1, 3].likeliest == 2


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        learned_connectivity(tmp_path, "latest")
    model = write_run(tmp_path)
    with pytest.raises(UserError, match="best, latest or a path prefix"):
        learned_connectivity(tmp_path, "best")
    other = tf.train.Checkpoint(step=tf.Variable(1)).write(str(tmp_path / "other"))
    with pytest.raises(UserError, match=r"strength_logits, \[2\], is missing") as missing:
        learned_connectivity(tmp_path, other)
    model.blocks()[3].gates[0].peer_logits.assign([np.nan, 0.0, 0.0])
    spoilt = tf.train.Checkpoint(model=model).write(str(tmp_path / "spoilt"))
    with pytest.raises(UserError, match="node_layers/3/gates/0/peer_logits is not finite") as nan:
        learned_connectivity(tmp_path, spoilt)
    (tmp_path / "broken.index").write_bytes(b"no table")
    with pytest.raises(UserError, match="cannot be read") as broken:
        learned_connectivity(tmp_path, str(tmp_path / "broken"))
    assert all("\n" not in str(error.value) for error in (missing, nan, broken))


def test_a_checkpoint_without_its_data_is_named(tmp_path):
    write_run(tmp_path)
    (data,) = tmp_path.glob("ckpt-1.data*")
    data.write_bytes(data.read_bytes()[:10])
    with pytest.raises(UserError, match="cannot be read"):
        learned_connectivity(tmp_path, "latest")
