"""What an optimizer adds to a training step for each weight, found by tracing one that moves a few small weights."""

from __future__ import annotations

import dataclasses
import types

import tensorflow as tf
import tf_keras

from official_vision.specs import OptimizerSpec, TrainSpec
from official_vision.training.optimizers.build import make_optimizer
from official_vision.training.optimizers.optimizer_state import make_state

Optimizer = tf_keras.optimizers.Optimizer
_FEW, _MORE = 1, 3


@dataclasses.dataclass(frozen=True)
class UpdateCost:
    """What moving one weight adds to a step.

    Attributes:
      slots: values that the optimizer stores for each value of the weight, without a moving average.
      operations: that the step's graph has for it, with clipping and without a moving average.
      average_operations: that the moving average has for each weight and each statistic of batch norm; 0 without one.
    """

    slots: int
    operations: int
    average_operations: int


def update_cost(spec: OptimizerSpec, train: TrainSpec, batch_size: int) -> UpdateCost:
    """Counts what an optimizer adds, of any name that `make_optimizer` knows.

    Args:
      spec: of the optimizer.
      train: of the run; loss scaling is not counted.
      batch_size: clips per step over all devices.
    """
    train = dataclasses.replace(train, precision="float32")
    alone = dataclasses.replace(spec, ema_decay=None)
    slots, operations = _of_one_weight(alone, train, batch_size)
    if spec.ema_decay is None:
        return UpdateCost(slots, operations, 0)
    return UpdateCost(slots, operations, _of_one_weight(spec, train, batch_size)[1] - operations)


def _of_one_weight(spec: OptimizerSpec, train: TrainSpec, batch_size: int) -> tuple[int, int]:
    """Returns slots and operations: of several weights, less those that come once in a step."""
    few, more = (
        _of_weights(make_optimizer(spec, train, batch_size), number, spec.ema_decay is not None)
        for number in (_FEW, _MORE)
    )
    return few[0], (more[1] - few[1]) // (_MORE - _FEW)


def _of_weights(optimizer: Optimizer, number: int, averages: bool) -> tuple[int, int]:
    """Returns slots of each weight, and operations of a step that moves so many of them."""
    weights = [tf.Variable(tf.zeros([7, 5]), name=f"kernel_{n}") for n in range(number)]
    make_state(optimizer, weights)
    if averages:
        optimizer.shadow_copy(types.SimpleNamespace(variables=weights))

    @tf.function(autograph=False)
    def step() -> None:
        optimizer.apply_gradients([(tf.ones_like(weight), weight) for weight in weights])

    graph = step.get_concrete_function().graph
    library = graph.as_graph_def().library.function
    operations = len(graph.get_operations()) + sum(len(each.node_def) for each in library)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    state = inner.variables() if callable(inner.variables) else inner.variables
    return sum(variable.shape == weights[0].shape for variable in state) // number, operations
