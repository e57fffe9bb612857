"""How long a step's gradient is, and which share of the weights it moves, by group of weights.

    gradient_norm/GROUP   ||g||: g is the gradient of all that is minimised (weight decay of the loss and a
                          search's terms included) over the global batch: unscaled, of all accumulated parts,
                          summed over replicas, before it is clipped
    update_ratio/GROUP    ||w' - w|| / ||w||: w and w' are the trained weights before and after the step, whichever
                          optimizer moves them, not their moving averages; NaN where w is 0

Norms are Euclidean, over all weights of a group that train. Of bilevel updates, g of strengths and peers is that
of the second batch.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision.architecture.graph import Architecture, Stem
from official_vision.modeling.network import is_architecture_variable
from official_vision.training.step.frozen_weights import name_of

GRADIENT, RATIO = "gradient_norm", "update_ratio"
ALL = "all"
_NODE = re.compile(r"node_(\d+)/")


def group_of(variable: tf.Variable, architecture: Architecture) -> str:
    """Returns the group of a trained weight.

    Args:
      variable: of the network, outside of replicas, which name variables otherwise.
      architecture: its graph.

    Returns:
      strengths (w) or peers (h); else stem_rgb, stem_flow or stem_object for stems (of several of a kind
      together), level_1 to level_4 for blocks with their fusion and gates, or head.
    """
    name = name_of(variable)
    if is_architecture_variable(variable):
        return "strengths" if "strength_logits" in name else "peers"
    if name.startswith("flow/"):  # of flow that the network computes
        return "stem_flow"
    node = _NODE.search(name)
    if node is None:
        return "head"
    node = architecture.nodes[int(node[1])]
    return f"stem_{node.kind}" if isinstance(node, Stem) else f"level_{node.level}"


class UpdateNorms(tf.Module):
    """Measures some steps: those that are traced within `measuring`. The graph of others has nothing of it."""

    def __init__(self, variables: Sequence[tf.Variable], architecture: Architecture, period: int):
        """Makes its variable, within the scope of the run's strategy.

        Args:
          variables: that train.
          architecture: of the network.
          period: steps between measurements; the first loop's end at or past it counts.
        """
        super().__init__(name="update_norms")
        groups = [group_of(variable, architecture) for variable in variables]
        self.groups: tuple[str, ...] = tuple(sorted({*groups}, key=_order))
        self._place = {
            variable.ref(): self.groups.index(group)
            for variable, group in zip(variables, groups, strict=True)
        }
        self._period = period
        self.is_measuring = False
        # Sums of squares of gradients, updates and weights: the same on every replica.
        self._squares = tf.Variable(
            tf.zeros([3, len(self.groups)]),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def is_due(self, begin: int, end: int) -> bool:
        """Returns whether the last step of a loop is measured, which goes from step `begin` to `end`."""
        return end // self._period > begin // self._period

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        """Marks the tracing, or the call, of a step that measures."""
        self.is_measuring = True
        try:
            yield
        finally:
            self.is_measuring = False

    def apply(self, optimizer: Any, pairs: Sequence[tuple[tf.Tensor | None, tf.Variable]]) -> None:
        """Applies gradients within a replica, and measures them and what they change.

        Args:
          optimizer: of the run.
          pairs: gradients of the replica's share of the global batch, unscaled, with their variables; None for a
            variable that the loss does not depend on.
        """
        variables = [variable for _, variable in pairs]
        places = [self._place[variable.ref()] for variable in variables]
        before = [tf.identity(variable) for variable in variables]
        gradients = _summed([gradient for gradient, _ in pairs])
        squares = [self._by_group(places, gradients)]
        with tf.control_dependencies([*squares, *before]):
            optimizer.apply_gradients(pairs)
        changes = [now - then for now, then in zip(variables, before, strict=True)]
        squares += [self._by_group(places, changes), self._by_group(places, before)]
        self._squares.assign(tf.stack(squares))

    def figures(self) -> dict[str, float]:
        """Returns what the last measured step was, outside of replicas: by "figure/group", and of all together."""
        squares = self._squares.numpy().astype(np.float64)
        squares = np.concatenate([squares, squares.sum(axis=1, keepdims=True)], axis=1)
        gradient, update, weight = np.sqrt(squares)
        ratio = np.divide(update, weight, out=np.full_like(update, np.nan), where=weight > 0)
        names = (*self.groups, ALL)
        return {
            f"{figure}/{name}": float(value)
            for figure, values in ((GRADIENT, gradient), (RATIO, ratio))
            for name, value in zip(names, values, strict=True)
        }

    def _by_group(self, places: Sequence[int], values: Sequence[tf.Tensor | None]) -> tf.Tensor:
        """Sums squares, float32 [groups]; `places` are the groups of the values."""
        sums: list[list[tf.Tensor]] = [[tf.zeros([])] for _ in self.groups]
        for place, value in zip(places, values, strict=True):
            if value is not None:
                sums[place].append(tf.reduce_sum(tf.square(tf.cast(value, tf.float32))))
        return tf.stack([tf.add_n(terms) for terms in sums])


def _order(group: str) -> tuple[int, str]:
    """Orders groups as data flows: stems, levels, head, and what connects them."""
    kinds = ("stem", "level", "head", "strengths", "peers")
    return kinds.index(group.split("_")[0]), group


def _summed(gradients: Sequence[tf.Tensor | None]) -> list[tf.Tensor | None]:
    """Sums gradients over replicas, as the optimizer does after it."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(gradients)
    present = [tf.convert_to_tensor(g) for g in gradients if g is not None]
    total = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if gradient is None else next(total) for gradient in gradients]
