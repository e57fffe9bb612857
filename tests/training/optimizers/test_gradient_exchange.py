"""Gradients that replicas exchange in half precision, in every kind of optimizer."""

from __future__ import annotations

import types

import numpy as np
import pytest
import tensorflow as tf

from official_vision.specs import OptimizerSpec, TrainSpec
from official_vision.training.optimizers import gradient_exchange
from official_vision.training.optimizers.build import make_optimizer


def test_sums_are_those_of_rounded_gradients(monkeypatch):
    sent = []

    def all_reduce(operation, values):
        assert operation == tf.distribute.ReduceOp.SUM
        sent.extend(values)
        return [value + tf.ones_like(value) for value in values]

    replica = types.SimpleNamespace(num_replicas_in_sync=2, all_reduce=all_reduce)
    monkeypatch.setattr(tf.distribute, "get_replica_context", lambda: replica)
    gradients = [np.float32([[1.00390625, 3.0]]), None, np.float32([1e-3])]
    tensors = [None if gradient is None else tf.constant(gradient) for gradient in gradients]
    pairs = list(zip(tensors, "abc", strict=True))
    done = gradient_exchange.summed_in_half_precision(pairs)
    assert [value.dtype for value in sent] == [tf.bfloat16] * 2
    assert [name for _, name in done] == ["a", "b", "c"]
    # 1 + 2^-8 has more than the 8 bits of bfloat16.
    np.testing.assert_array_equal(done[0][0], np.float32([[2.0, 4.0]]))
    assert done[0][0].dtype == tf.float32
    assert done[1][0] is None
    np.testing.assert_allclose(done[2][0], [1.001], rtol=2**-8)


def test_one_replica_exchanges_nothing():
    value = tf.constant([1.00390625])
    assert gradient_exchange.summed_in_half_precision([(value, "a")])[0][0] is value


@pytest.mark.parametrize(
    ("network", "architecture"),
    [
        ({}, None),
        ({"ema_decay": 0.5}, None),
        ({"name": "sgd_experimental"}, None),
        ({}, {"learning_rate": 0.2}),
        ({"ema_decay": 0.5}, {"learning_rate": 0.2}),
    ],
)
def test_every_optimizer_moves_by_the_sums(network, architecture, monkeypatch):
    monkeypatch.setattr(
        gradient_exchange,
        "summed_in_half_precision",
        lambda pairs: [(3.0 * gradient, variable) for gradient, variable in pairs],
    )
    settings = {"momentum": 0.0, "learning_rate": 0.1, "schedule": "constant", **network}
    settings |= {"reference_batch_size": None}
    spec = OptimizerSpec(**settings)
    other = architecture and OptimizerSpec(**{**settings, **architecture})
    for precision, times in (("float32", 1.0), ("bfloat16", 3.0)):
        train = TrainSpec(steps=10, exchange_precision=precision)
        optimizer = make_optimizer(spec, train, 8, other)
        variable = tf.Variable([1.0], name="kernel")
        if "ema_decay" in network:
            optimizer.shadow_copy(types.SimpleNamespace(variables=[variable]))
        optimizer.apply_gradients([(tf.constant([0.5]), variable)])
        np.testing.assert_allclose(variable, [1.0 - 0.1 * 0.5 * times], rtol=1e-6)
