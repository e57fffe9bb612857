"""Two optimizers as one: for the network's weights and for the architecture variables (w, h)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf
import tf_keras

from official_vision.modeling.network import is_architecture_variable, weights_and_connections
from official_vision.private_apis import track

_GradientAndVariable = tuple[tf.Tensor, tf.Variable]


class SplitOptimizer(tf_keras.optimizers.legacy.Optimizer):
    """Hands connection strengths and peer logits to one optimizer, every other variable to another.

    To Model Garden's trainer it is one optimizer, whose learning rate and count of steps are the
    network's. Gradients are clipped before they part: by the norm over all variables, as one
    optimizer would, so that a split alone changes no direction.
    """

    def __init__(
        self,
        network: tf_keras.optimizers.Optimizer,
        architecture: tf_keras.optimizers.Optimizer,
        clip_norm: float | None = None,
    ):
        """Args:
        network: moves all but the architecture variables.
        architecture: moves those (see `is_architecture_variable`).
        clip_norm: global norm of all gradients to clip at; None does not clip.
        """
        super().__init__("SplitOptimizer")
        self._network = network
        self._architecture = architecture
        self._clip_norm = clip_norm
        # The counts of steps are made here: inside a replica's graph several devices cannot make them.
        self._counts = [network.iterations, architecture.iterations]
        track(self, network, "network")
        track(self, architecture, "architecture")

    def apply_gradients(
        self,
        grads_and_vars: Iterable[_GradientAndVariable],
        name: str | None = None,
        experimental_aggregate_gradients: bool = True,
    ) -> tf.Operation | None:
        """Moves the variables.

        Args:
          grads_and_vars: pairs; those without gradient (None) are passed over.
          name: of the operations.
          experimental_aggregate_gradients: sum over replicas first; False where that has been done.

        Returns:
          An operation, since loss scaling puts this call beside one in the branches of a condition.
        """
        pairs = [(gradient, v) for gradient, v in grads_and_vars if gradient is not None]
        if experimental_aggregate_gradients:
            pairs = self.gradient_aggregator(pairs)
        gradients, variables = zip(*pairs, strict=True)
        if self._clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        groups: dict[bool, list[_GradientAndVariable]] = {False: [], True: []}
        for gradient, variable in zip(gradients, variables, strict=True):
            groups[is_architecture_variable(variable)].append((gradient, variable))
        # A step that loss scaling passes over counts for the network's schedule; so for the other.
        network, architecture = self._counts
        architecture.assign(tf.identity(network))
        for optimizer, group in (
            (self._network, groups[False]),
            (self._architecture, groups[True]),
        ):
            if group:
                optimizer.apply_gradients(group, name=name, experimental_aggregate_gradients=False)
        return tf.no_op()

    def parts(
        self, weights: Iterable[tf.Variable]
    ) -> list[tuple[tf_keras.optimizers.Optimizer, list[tf.Variable]]]:
        """Returns both optimizers, each with those of `weights` that it moves."""
        groups = weights_and_connections(weights)
        return list(zip((self._network, self._architecture), groups, strict=True))

    @property
    def iterations(self) -> tf.Variable:
        """Returns the number of steps taken."""
        return self._network.iterations

    @property
    def learning_rate(self) -> Any:
        """Returns the network's rate or schedule."""
        return self._network.learning_rate

    @property
    def architecture_learning_rate(self) -> Any:
        """Returns the rate or schedule of the architecture variables."""
        return self._architecture.learning_rate

    def variables(self) -> list[tf.Variable]:
        """Returns the state of both."""
        return [
            v
            for optimizer in (self._network, self._architecture)
            for v in (
                optimizer.variables() if callable(optimizer.variables) else optimizer.variables
            )
        ]

    def get_config(self) -> dict[str, Any]:
        serialize = tf_keras.optimizers.serialize
        return {
            "network": serialize(self._network),
            "architecture": serialize(self._architecture),
            "clip_norm": self._clip_norm,
        }
