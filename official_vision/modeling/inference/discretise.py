"""A trained one-shot network made discrete, with its weights (supplement A.2).

Nothing pruned and each softmax at one peer, both networks compute the same logits: the chosen peer's
linear map and the gate's fully connected layer are one linear map, so their product takes their place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tf_keras

from official_vision.architecture.connections.connectivity import distribution_of, strengths_of
from official_vision.architecture.connections.derive import derive
from official_vision.modeling.block import ConvolutionalBlock
from official_vision.modeling.fusion import WeightedFusion
from official_vision.modeling.gates import PeerAttentionGate
from official_vision.modeling.network import AssembleNet


def learned_strengths(model: AssembleNet) -> dict[int, tuple[float, ...]]:
    """Returns sigmoid(w) of each block's connections, by node; blocks of one input have none."""
    return {
        index: strengths_of(block.fusion.strength_logits.numpy())
        for index, block in model.blocks().items()
        if block.fusion.is_weighted
    }


def peer_distributions(model: AssembleNet) -> dict[int, tuple[tuple[float, ...], ...]]:
    """Returns softmax(h), a row per connection over `NodePlan.candidates`, of one-shot blocks by node."""
    return {
        index: tuple(distribution_of(gate.peer_logits.numpy()) for gate in block.gates)
        for index, block in model.blocks().items()
        if any(isinstance(gate, PeerAttentionGate) for gate in block.gates)
    }


def to_discrete(model: AssembleNet, threshold: float = 0.0) -> AssembleNet:
    """Keeps each connection's most probable peer and drops connections weaker than `threshold`.

    Where pruning leaves a block one input, that input's strength and 1x1 convolution go into the
    first residual module, which computes the same. Where it takes a block's widest inputs away, the
    remaining 1x1 convolutions are projected to the narrower width, the nearest in least squares.

    Args:
      model: a network whose blocks hold one-shot gates; named peers and other gates stay.
      threshold: in [0, 1]; see architecture/connections/derive.py.

    Returns:
      A new network, which shares no weights; `model` is left as it is.

    Raises:
      ArchitectureError: a threshold outside [0, 1].
    """
    derived = derive(
        model.architecture, learned_strengths(model), peer_distributions(model), threshold
    )
    discrete = AssembleNet(derived.architecture, model.spec)
    discrete.make_weights()
    blocks = model.blocks()
    for old, new in derived.new_index.items():
        if str(new) not in discrete.node_layers:
            continue  # a named peer, where the model's gates read no peers
        if old in blocks:
            _move_block(blocks[old], discrete.blocks()[new], derived.kept_inputs[old])
        else:
            _copy(model.node_layers[str(old)], discrete.node_layers[str(new)])
    for name in ("final", "final_norm", "head"):
        if hasattr(model, name):
            _copy(getattr(model, name), getattr(discrete, name))
    discrete.update_count.variable.assign(model.update_count.variable)
    return discrete


def _copy(old: tf_keras.layers.Layer, new: tf_keras.layers.Layer) -> None:
    new.set_weights(old.get_weights())


def _move_block(old: ConvolutionalBlock, new: ConvolutionalBlock, positions: Sequence[int]) -> None:
    """Carries a block's weights over; `positions` are those of its remaining inputs."""
    if old.gates:
        for position, gate in zip(positions, new.gates, strict=True):
            _move_gate(old.gates[position], gate)
    change = _move_fusion(old.fusion, new.fusion, positions)
    _copy_after(change, old.modules[0], new.modules[0])
    for module, other in zip(old.modules[1:], new.modules[1:], strict=True):
        _copy(module, other)


def _move_gate(old: tf_keras.layers.Layer, new: tf_keras.layers.Layer) -> None:
    """Turns a one-shot gate into the gate of its most probable peer; other gates stay as they are."""
    if not isinstance(old, PeerAttentionGate):
        _copy(old, new)
        return
    kernel, bias = old.dense.get_weights()
    chosen = int(np.argmax(old.peer_distribution()))
    new.dense.set_weights([old.candidate_map(chosen).numpy() @ kernel, bias])


def _move_fusion(
    old: WeightedFusion, new: WeightedFusion, positions: Sequence[int]
) -> np.ndarray | None:
    """Carries strengths and 1x1 convolutions over.

    Returns:
      The matrix [new width, old width] that must precede the block's first module; None for identity.
    """
    if not old.is_weighted:
        return None
    if not new.is_weighted:
        strength = old.learned_strengths().numpy()[positions[0]]
        return strength * _matrix(old, old.input_channels[positions[0]])
    new.strength_logits.assign(old.strength_logits.numpy()[list(positions)])
    narrowed = new.target_channels != old.target_channels
    change = _matrix(old, new.target_channels) if narrowed else None
    for width, convolution in new.convolutions.items():
        matrix = _matrix(old, int(width))
        if change is not None:
            matrix = matrix @ np.linalg.pinv(change)
        convolution.set_weights([matrix[np.newaxis, np.newaxis]])
    return change


def _matrix(fusion: WeightedFusion, width: int) -> np.ndarray:
    """Returns the matrix through which inputs of a width reach the fused map, [width, target channels]."""
    if str(width) not in fusion.convolutions:
        return np.eye(width, dtype=np.float32)
    return fusion.convolutions[str(width)].get_weights()[0][0, 0]


def _copy_after(
    change: np.ndarray | None, old: tf_keras.layers.Layer, new: tf_keras.layers.Layer
) -> None:
    """Copies a block's first module, whose first convolution and shortcut, both 1x1, take `change`."""
    touched = () if change is None else (old.first.kernel, old.projection.kernel)
    new.set_weights(
        [
            change @ variable.numpy()
            if any(variable is kernel for kernel in touched)
            else variable.numpy()
            for variable in old.weights
        ]
    )
