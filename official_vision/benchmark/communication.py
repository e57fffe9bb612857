"""What the replicas of a training step exchange, read from its graph, and the time that takes by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

_REDUCTIONS = ("CollectiveReduceV2", "CollectiveReduce")  # of tf.distribute, over several processes


@dataclasses.dataclass(frozen=True)
class Exchange:
    """One sum over all replicas.

    Attributes:
      dtype: of the values.
      values: how many are summed.
    """

    dtype: tf.DType
    values: int


def exchanges_of(step: Any, *inputs: Any) -> list[Exchange]:
    """Returns the sums over several processes that a traced step has, in order.

    Args:
      step: a tf.function.
      inputs: of a call.
    """
    graph = step.get_concrete_function(*inputs).graph
    sums = [op.inputs[0] for op in graph.get_operations() if op.type in _REDUCTIONS]
    return [Exchange(values.dtype, values.shape.num_elements()) for values in sums]


def make_exchange(exchanges: Sequence[Exchange]) -> Callable[[], None]:
    """Returns a function that makes the sums one after the other and nothing else, on every replica.

    Args:
      exchanges: what to sum, in order.
    """
    strategy = tf.distribute.get_strategy()

    def of_replica() -> tf.Tensor:
        replica = tf.distribute.get_replica_context()
        ends = tf.zeros([])
        for exchange in exchanges:
            # Depends on the one before, as a layer does; no constant, which TensorFlow could compute once.
            values = tf.fill([exchange.values], tf.cast(ends, exchange.dtype))
            ends = tf.cast(replica.all_reduce(tf.distribute.ReduceOp.SUM, values)[0], tf.float32)
        return ends

    function = tf.function(lambda: strategy.run(of_replica))
    return lambda: strategy.experimental_local_results(function())[0].numpy()


def communication_text(result: Mapping[str, Any]) -> str:
    """Returns a line for each row of `scaling.measure_scaling` whose workers exchange something."""
    return "\n".join(
        f"{row['name']}, {row['precision']}: efficiency {row['efficiency']:.2f}; {row['exchanges']} exchanges of "
        f"{row['exchanged_megabytes']:.1f} MB take {row['communication_seconds']['median']:.3f} s by themselves"
        for row in result["rows"]
        if row.get("exchanges")
    )
