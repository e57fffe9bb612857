"""Terms of a search against numpy: entropies, expected cost, and when they begin to count."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.cost.connection_cost import connection_costs
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.errors import UserError
from official_vision.modeling.inference.discretise import learned_strengths, peer_distributions
from official_vision.specs import ConnectivitySpec, DataSpec
from official_vision.training.cost_setting import setting_of
from official_vision.training.step.connection_terms import ConnectionTerms
from official_vision.training.step.frozen_weights import name_of
from tests.modeling import small
from tests.training import steps


@pytest.fixture(scope="module")
def model():
    return small.network(small.architecture())


def terms(model, **settings):
    costs = connection_costs(
        model.architecture, setting_of(model.spec, DataSpec(frames=4, size=32))
    )
    return ConnectionTerms(model, ConnectivitySpec(**settings), costs)


def entropy(p):
    p = np.asarray(p, np.float64)
    return -(p * np.log(p)).sum()


def test_the_peers_entropy_is_the_mean_share_of_the_even_choice(model):
    rows = [np.asarray(row) for rows in peer_distributions(model).values() for row in rows]
    expected = np.mean([entropy(row) / np.log(len(row)) for row in rows])
    assert 0.5 < expected < 0.999
    assert float(terms(model).peer_entropy()) == pytest.approx(expected, rel=1e-5)


def test_the_strengths_entropy_is_in_bits(model):
    strengths = np.concatenate(list(learned_strengths(model).values()))
    expected = np.mean([entropy([s, 1 - s]) / np.log(2) for s in strengths])
    assert float(terms(model).strength_entropy()) == pytest.approx(expected, rel=1e-5)


def test_decided_strengths_have_no_entropy_and_a_gradient_that_is_a_number():
    model = small.network(small.architecture())
    logits = [v for v in model.architecture_variables() if "strength" in v.name]
    for variable in logits:
        variable.assign(tf.fill(variable.shape, 200.0))
    with tf.GradientTape() as tape:
        value = terms(model).strength_entropy()
    assert float(value) == pytest.approx(0, abs=1e-6)
    assert all(np.isfinite(g).all() for g in tape.gradient(value, logits))


def test_the_expected_cost_is_that_of_the_graph(model):
    costs = connection_costs(
        model.architecture, setting_of(model.spec, DataSpec(frames=4, size=32))
    )
    expected = costs.expected(
        model.architecture, learned_strengths(model), peer_distributions(model)
    )
    assert 0 < expected < 1
    assert float(terms(model, cost_weight=1.0).expected_cost()) == pytest.approx(expected, rel=1e-5)


def test_its_gradient_is_the_price_of_a_connection(model):
    """d/dw of sigmoid(w) c is sigmoid(w) (1 - sigmoid(w)) c: dearer connections are pushed harder."""
    function = terms(model, cost_weight=2.0)
    logits = model.blocks()[4].fusion.strength_logits
    with tf.GradientTape() as tape:
        value = function(tf.constant(0))
    (gradient,) = tape.gradient(value, [logits])
    costs = connection_costs(
        model.architecture, setting_of(model.spec, DataSpec(frames=4, size=32))
    )
    for position, source in enumerate(model.architecture.nodes[4].inputs):
        strength = learned_strengths(model)[4][position]
        gate = np.dot(peer_distributions(model)[4][position], costs.gates[source, 4])
        price = (costs.maps[source, 4] + gate) / costs.full
        assert gradient[position].numpy() == pytest.approx(
            2 * strength * (1 - strength) * price, rel=1e-4
        )


@pytest.mark.parametrize(
    ("ramp", "shares"),
    [(0, {0: 0, 9: 0, 10: 1, 99: 1}), (20, {0: 0, 10: 0, 15: 0.25, 30: 1, 99: 1})],
)
def test_entropy_counts_from_its_step_on_and_cost_always(model, ramp, shares):
    function = terms(
        model,
        peer_entropy_weight=0.5,
        strength_entropy_weight=2.0,
        entropy_start_step=10,
        entropy_ramp_steps=ramp,
        cost_weight=3.0,
    )
    sharpening = 0.5 * float(function.peer_entropy()) + 2 * float(function.strength_entropy())
    cost = 3 * float(function.expected_cost())
    for step, share in shares.items():
        value = float(function(tf.constant(step, tf.int64)))
        assert value == pytest.approx(share * sharpening + cost, rel=1e-5)


def test_a_network_with_nothing_to_learn_is_refused():
    graph = Architecture("line", (Stem("rgb", 4), Block(1, (0,), 4, 1, 1, None, (0,))), depth=26)
    with pytest.raises(UserError, match=r"strengths or peers to learn. Received: line"):
        terms(small.network(graph), peer_entropy_weight=1.0)


def test_a_training_step_follows_them():
    """Plain SGD on the sum: w moves by the gradient of both, weights by the loss's alone."""
    settings = {"learning_rate": 0.5, "momentum": 0.0, "weight_decay": 0.0}
    plain, searching = steps.make_task(**settings), steps.make_task(**settings)
    model, _ = steps.start(searching)
    spec = ConnectivitySpec(peer_entropy_weight=0.3, strength_entropy_weight=0.7)
    function = ConnectionTerms(model, spec)
    variables = model.architecture_variables()
    with tf.GradientTape() as tape:
        value = function(tf.constant(0))
    pushed = dict(
        zip([name_of(v) for v in variables], tape.gradient(value, variables), strict=True)
    )
    searching.config = dataclasses.replace(searching.config, connectivity=spec)
    plain_losses, expected = steps.after(plain)
    losses, moved = steps.after(searching)
    for name, weight in expected.items():
        push = 0.5 * pushed[name].numpy() if name in pushed else 0.0
        np.testing.assert_allclose(moved[name], weight - push, rtol=1e-4, atol=1e-6, err_msg=name)
    assert max(np.abs(g).max() for g in pushed.values()) > 1e-3
    assert losses[0] == pytest.approx(plain_losses[0], rel=1e-5)  # what clips alone cost
    steps.start(searching)
    assert searching.added_losses(0) == {"search_terms": pytest.approx(float(value), rel=1e-5)}
