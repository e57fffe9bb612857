"""Puts the authors' weights into a network of this package, layer by layer, and reports on each."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from official_vision.architecture.plan import make_plan
from official_vision.conversion.authors.variables import (
    NORM,
    STRENGTHS,
    StoredLayer,
    StoredWeights,
)
from official_vision.conversion.authors.walk import (
    SINGLE_GATED,
    Code,
    Slot,
    dropped_inputs,
    slots,
)
from official_vision.conversion.coverage import INFLATED, INITIAL, LOADED, Coverage, Skipped, Weight
from official_vision.errors import UserError
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.convolution import BATCH_NORM_EPSILON

# sigmoid(-80) is 2e-35, which is nothing beside any feature; sigmoid(30) is 1 in float32.
_CLOSED, _OPEN = -80.0, 30.0


def load(
    model: AssembleNet,
    weights: StoredWeights,
    code: Code,
    classes: int,
    norm_epsilon: float = BATCH_NORM_EPSILON,
) -> Coverage:
    """Loads every weight.

    Args:
      model: built from the architecture that the weights were trained in.
      weights: the checkpoint's.
      code: which of the authors' programs made the network.
      classes: of the checkpoint's classifier.
      norm_epsilon: of the network's batch norms; the difference from ours goes into the moving variances.

    Returns:
      The origin of each weight of the model, and the checkpoint's weights that were left out.

    Raises:
      UserError: the architecture is not the checkpoint's: the first variable that is missing, left over or
        of another shape.
    """
    loading = _Loading(model, weights, code, norm_epsilon)
    for slot in slots(model.architecture, model, code, classes):
        loading.take(slot)
    return loading.finished()


class _Loading:
    """The state of `load`: the remaining stored layers, and the status of each variable of ours."""

    def __init__(self, model: AssembleNet, weights: StoredWeights, code: Code, norm_epsilon: float):
        self._model = model
        self._weights = weights
        self._code = code
        self._norm_epsilon = norm_epsilon
        self._left = _queues(weights)
        self._skipped: list[Skipped] = []
        self._outcomes: dict = {}  # variable's reference -> (status, source, reason)
        self._notes = [
            f"left out, since no block reads it: {left.stem.kind} stem {left.position}; later nodes move up by one"
            for left in code.unread
        ]
        plans = make_plan(model.architecture, model.spec.num_object_classes)
        self._dropped = {plan.index: dropped_inputs(plan, code) for plan in plans}

    def take(self, slot: Slot) -> None:
        """Loads the next stored layer of a slot's kind."""
        queue = self._left.get((slot.kind, slot.scope))
        if not queue:
            raise self._unfit(
                f"no {_named(slot)}: the structure has more layers than the checkpoint"
            )
        stored = queue.popleft()
        self._check(slot, stored)
        if slot.layer is None or slot.reason:
            self._skipped += [
                Skipped(f"{stored.name}/{name}", shape, slot.reason)
                for name, shape in stored.shapes.items()
            ]
            return
        values = self._weights.read(stored)
        if slot.kind == STRENGTHS:
            self._strengths(slot, stored, values["value"])
        elif slot.input is not None:
            self._gate(slot, stored, values)
        else:
            if slot.kind == NORM:
                values["moving_variance"] += self._norm_epsilon - BATCH_NORM_EPSILON
            for name, value in values.items():
                ours = "kernel" if name == "value" else name
                self._assign(getattr(slot.layer, ours), value, _source(stored, name))

    def finished(self) -> Coverage:
        """Returns the report, after all slots have been filled."""
        for queue in self._left.values():
            if queue:
                name = f"{queue[0].name}/{next(iter(queue[0].shapes))}"
                raise self._unfit(
                    f"{name} left over: the checkpoint has more layers than the structure"
                )
        self._gates_without_layer()
        weights = [self._weight(variable) for variable in self._model.weights]
        return Coverage(
            tuple(sorted(weights, key=_in_the_network)),
            (*self._skipped, *self._weights.others),
            (*self._notes, *self._flow_notes()),
        )

    def _check(self, slot: Slot, stored: StoredLayer) -> None:
        if stored.node is not None and stored.node != slot.node:
            raise self._unfit(f"{stored.name} where the structure has {_named(slot)}")
        for name, shape in slot.shapes.items():
            if stored.shapes.get(name) != shape:
                seen = stored.shapes.get(name, "none")
                raise self._unfit(
                    f"{stored.name}/{name} shaped {seen}, and {shape} in the structure ({_named(slot)})"
                )

    def _assign(
        self,
        variable: tf.Variable,
        value: np.ndarray,
        source: str,
        status: str = LOADED,
        reason: str = "",
    ) -> None:
        variable.assign(value)
        self._outcomes[variable.ref()] = (status, (source,) if source else (), reason)

    def _strengths(self, slot: Slot, stored: StoredLayer, logits: np.ndarray) -> None:
        closed = self._dropped[slot.ours]
        logits[list(closed)] = _CLOSED
        self._assign(slot.layer.strength_logits, logits, _source(stored, "value"))
        inputs = self._model.architecture.nodes[slot.ours].inputs
        if closed:
            named = ", ".join(f"{inputs[position]} -> {slot.ours}" for position in closed)
            self._notes.append(f"closed, since the authors' code drops them: connections {named}")

    def _gate(self, slot: Slot, stored: StoredLayer, values: Mapping[str, np.ndarray]) -> None:
        """Compensates that their gate reads the average of the input times its strength, ours of the input."""
        fusion = self._model.blocks()[slot.ours].fusion
        strength = fusion.learned_strengths().numpy()[slot.input] if fusion.is_weighted else 1.0
        dense = slot.layer.dense
        self._assign(dense.kernel, values["kernel"] * strength, _source(stored, "kernel"))
        self._assign(dense.bias, values["bias"], _source(stored, "bias"))

    def _gates_without_layer(self) -> None:
        """Sets gates of ours that the authors' network lacks."""
        for index, block in self._model.blocks().items():
            for position, gate in enumerate(block.gates):
                if position in self._dropped[index]:
                    reason = "gate of a connection that the authors' code drops; it is closed"
                    for variable in gate.weights:
                        self._outcomes[variable.ref()] = (INITIAL, (), reason)
                elif self._code.gates == SINGLE_GATED and block.fusion.is_weighted:
                    reason = "held open: attention was off, but for blocks of one input"
                    self._assign(gate.dense.kernel, gate.dense.kernel * 0, "", INFLATED, reason)
                    bias = tf.ones_like(gate.dense.bias) * _OPEN
                    self._assign(gate.dense.bias, bias, "", INFLATED, reason)

    def _flow_notes(self) -> list[str]:
        return [
            f"{o.name}: {o.reason}" for o in self._weights.others if o.reason.startswith("trained")
        ]

    def _weight(self, variable: tf.Variable) -> Weight:
        name = variable.name.split(":")[0].split("/", 1)[1]
        status, source, reason = self._outcomes.get(variable.ref(), (INITIAL, (), _why_new(name)))
        size = int(np.prod(variable.shape))
        return Weight(name, name.split("/")[0], size, status, source, reason)

    def _unfit(self, flaw: str) -> UserError:
        return UserError(
            "--structure, --depth and --params must be those of the checkpoint's network. Received: "
            f"{self._weights.path}, in which there is {flaw}. Correct them."
        )


def _queues(weights: StoredWeights) -> dict[tuple[str, str], deque[StoredLayer]]:
    """Returns the stored layers by kind and scope, each in the order of their making."""
    queues: dict[tuple[str, str], deque[StoredLayer]] = {}
    for kind in dict.fromkeys(layer.kind for layer in weights.layers):
        for layer in weights.in_order(kind):
            queues.setdefault((kind, layer.scope), deque()).append(layer)
    return queues


def _in_the_network(weight: Weight) -> tuple[bool, str]:
    """Sorts nodes by number, then the other layers: Keras has them in the order of their names as text."""
    return (not weight.node.startswith("node_"), weight.node)


def _why_new(name: str) -> str:
    if name.startswith("head/classifier/"):
        return "classifier of another number of classes"
    return "not in the authors' network"


def _named(slot: Slot) -> str:
    where = "the classifier" if slot.node is None else f"node {slot.node}"
    return f"{slot.kind} of {where}"


def _source(stored: StoredLayer, name: str) -> str:
    return stored.name if name == "value" else f"{stored.name}/{name}"
