"""Frozen weights stay; frozen batch norms run with their moving statistics; patterns are checked."""

import numpy as np
import pytest

from official_vision.errors import UserError
from official_vision.training.step.frozen_weights import check_patterns, freeze, name_of
from tests.modeling import small
from tests.training import steps


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [{}, {"name": "adamw", "decay": "decoupled", "architecture_optimizer": {"name": "adam"}}],
)
def test_frozen_weights_neither_move_nor_decay(optimizer):
    task = steps.make_task(
        frozen=("node_0[0-3]/", "classifier/bias"), weight_decay=0.5, **optimizer
    )
    before = steps.weights(steps.start(task)[0])
    now = steps.after(task)[1]
    changed = {name.split("/")[0] for name in steps.moved(before, now)}
    assert changed == {"node_04", "head"}
    assert "head/classifier/bias" not in steps.moved(before, now)


def test_a_frozen_batch_norm_gives_what_it_gives_at_evaluation():
    model = small.network(small.architecture())
    features = small.clips()
    trained = model(features, training=True)["logits"].numpy()
    freeze(model, ("norm/",))
    moving = [v.numpy() for v in model.variables if "moving" in v.name]
    frozen = model(features, training=True)["logits"].numpy()
    np.testing.assert_allclose(frozen, small.logits(model, features), rtol=1e-5)
    assert np.abs(frozen - trained).max() > 1e-3
    for variable, old in zip(
        (v for v in model.variables if "moving" in v.name), moving, strict=True
    ):
        np.testing.assert_array_equal(variable, old)


def test_half_a_batch_norm_keeps_the_batch_statistics():
    model = small.network(small.architecture())
    trained = {name_of(v) for v in freeze(model, ("norm/gamma",))}
    assert not any("gamma" in name for name in trained)
    assert any("norm/beta" in name for name in trained)


def test_nothing_frozen_trains_everything():
    model = small.network(small.architecture())
    assert [v.ref() for v in freeze(model, ())] == [v.ref() for v in model.trainable_variables]


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (("node_04/fussion",), "Similar: node_04/fusion"),
        (("backbone",), "Layers: head, node_00, node_01"),
        (("moving_mean",), "matches none"),
        (("node", "head"), "leave weights to train"),
    ],
)
def test_mistakes_are_one_line(patterns, words):
    with pytest.raises(UserError) as raised:
        freeze(small.network(small.architecture()), patterns)
    assert words in str(raised.value)
    assert "Received:" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_broken_expression_is_refused():
    check_patterns(("^(?!head)",))
    with pytest.raises(UserError, match=r"regular expressions. Received: '\(node'"):
        check_patterns(("(node",))
