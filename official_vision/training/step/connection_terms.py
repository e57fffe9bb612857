"""The loss terms of a search: terms that sharpen w and h, and the expected cost of connections."""

from __future__ import annotations

import math

import tensorflow as tf

from official_vision.architecture.cost.connection_cost import ConnectionCosts
from official_vision.errors import UserError
from official_vision.modeling.gates import PeerAttentionGate
from official_vision.modeling.network import AssembleNet
from official_vision.specs import ConnectivitySpec


class ConnectionTerms:
    """A function of the step and of a network's strengths and peers.

    a(step) * (peer weight * mean entropy share of softmax(h) + strength weight * mean entropy of
    sigmoid(w) in bits) + cost weight * expected cost, where a(step) grows from 0 to 1.
    """

    def __init__(
        self, model: AssembleNet, spec: ConnectivitySpec, costs: ConnectionCosts | None = None
    ):
        """Args:
        model: the network that trains.
        spec: the weights of the terms.
        costs: of the network's connections; needed where the expected cost has a weight.

        Raises:
          UserError: the network has no w or h on which the terms could work.
        """
        blocks = model.blocks()
        self._fusions = {i: b.fusion for i, b in blocks.items() if b.fusion.is_weighted}
        self._gates = {i: b.gates for i, b in blocks.items() if any(map(_is_one_shot, b.gates))}
        if not self._fusions and not self._gates:
            raise UserError(
                "ConnectivitySpec's terms need strengths or peers to learn. Received: "
                f"{model.architecture.name}, whose blocks have one input each and no open peers. "
                "Set the weights to 0, or choose an architecture with more connections."
            )
        self._inputs = {i: model.architecture.nodes[i].inputs for i in blocks}
        self._spec, self._costs = spec, costs

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Computes the terms that are added to the loss.

        Args:
          step: steps that have been taken, a scalar int.

        Returns:
          A scalar, float32.
        """
        spec, added = self._spec, tf.zeros([])
        growth = self._growth(step)
        if spec.peer_entropy_weight:
            added += growth * spec.peer_entropy_weight * self.peer_entropy()
        if spec.strength_entropy_weight:
            added += growth * spec.strength_entropy_weight * self.strength_entropy()
        if spec.cost_weight:
            added += spec.cost_weight * self.expected_cost()
        return added

    def _growth(self, step: tf.Tensor) -> tf.Tensor:
        since = tf.cast(step, tf.float32) - self._spec.entropy_start_step
        if not self._spec.entropy_ramp_steps:
            return tf.cast(since >= 0, tf.float32)
        return tf.clip_by_value(since / self._spec.entropy_ramp_steps, 0.0, 1.0)

    def peer_entropy(self) -> tf.Tensor:
        """Returns the mean over connections with a choice of softmax(h)'s entropy, 1 for an even one."""
        shares = []
        for gate in (gate for gates in self._gates.values() for gate in gates):
            count = len(gate.candidate_channels)
            if count > 1:
                logs = tf.nn.log_softmax(tf.cast(gate.peer_logits, tf.float32))
                shares.append(-tf.reduce_sum(tf.exp(logs) * logs) / math.log(count))
        return tf.add_n(shares) / len(shares) if shares else tf.zeros([])

    def strength_entropy(self) -> tf.Tensor:
        """Returns the mean over weighted connections of sigmoid(w)'s entropy in bits, 1 at 0.5."""
        if not self._fusions:
            return tf.zeros([])
        logits = [tf.cast(f.strength_logits, tf.float32) for f in self._fusions.values()]
        w = tf.concat(logits, axis=0)
        strength = tf.sigmoid(w)
        nats = strength * tf.nn.softplus(-w) + (1 - strength) * tf.nn.softplus(w)
        return tf.reduce_mean(nats) / math.log(2)

    def expected_cost(self) -> tf.Tensor:
        """Returns ConnectionCosts.expected, in 0..1."""
        spent = []
        for consumer, inputs in self._inputs.items():
            carried = tf.constant([self._costs.maps[j, consumer] for j in inputs], tf.float32)
            gating = [self._gating(consumer, position) for position in range(len(inputs))]
            price = (carried + tf.stack(gating)) / self._costs.full
            fusion = self._fusions.get(consumer)
            strength = fusion.learned_strengths() if fusion else tf.ones([1])
            spent.append(tf.reduce_sum(strength * price))
        return tf.add_n(spent)

    def _gating(self, consumer: int, position: int) -> tf.Tensor:
        """Returns the expected cost of one connection's gate."""
        costs = self._costs.gates[self._inputs[consumer][position], consumer]
        if not costs:
            return tf.zeros([])
        distribution = self._gates[consumer][position].peer_distribution()
        return tf.reduce_sum(distribution * tf.constant(costs, tf.float32))


def _is_one_shot(gate: tf.Module) -> bool:
    return isinstance(gate, PeerAttentionGate)
