"""Networks small enough for tests, and clips for them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.modeling.builder import build_model
from official_vision.modeling.execution import Execution
from official_vision.modeling.network import AssembleNet
from official_vision.specs import ModelSpec

CLASSES = 5
OBJECTS = 7


def spec(**settings) -> ModelSpec:
    """Table 1 at 1/16 of its width and depth 26; dropout off."""
    small = {
        "depth": 26,
        "width_multiplier": 1 / 16,
        "num_classes": CLASSES,
        "num_object_classes": OBJECTS,
        "dropout_rate": 0.0,
        "flow_iterations": 3,
    }
    return ModelSpec(**{**small, **settings})


def architecture(peers: bool = False) -> Architecture:
    """Three stems, one block per level, the last of which has a single input."""
    stems = (Stem("rgb", 4, 2), Stem("flow", 3), Stem("object", OBJECTS))
    blocks = (
        Block(1, (0, 1), 2, 2, 1, None, (2, 2) if peers else None),
        Block(2, (0, 2, 3), 3, 1, 2, (0.3, 0.6, 0.8), (1, 3, 3) if peers else None),
        Block(3, (3, 4), 3, 4, 2, None, (4, 3) if peers else None),
        Block(4, (5,), 4, 1, 2, None, (4,) if peers else None),
    )
    return Architecture("small", stems + blocks, depth=26)


def network(
    graph: Architecture | None = None,
    seed: int = 0,
    execution: Execution | None = None,
    **settings,
) -> AssembleNet:
    """With random weights, so that residual modules and gates carry signal."""
    settings = {"depth": None, "width_multiplier": 1.0, **settings} if graph else settings
    tf_keras.utils.set_random_seed(seed)
    model = build_model(spec(**settings), graph, execution)
    liven(model, seed)
    return model


def liven(model: AssembleNet, seed: int = 0) -> None:
    """Draws what starts at 0 or near it: batch norm's weights, biases, w, h and gates."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        name = variable.name
        if "gamma" in name or "variance" in name:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif any(word in name for word in ("beta", "mean", "bias", "logits")):
            variable.assign(random.normal(0, 0.5, variable.shape))
        elif "gate" in name:
            variable.assign(random.normal(0, 1.0, variable.shape))


def clips(
    batch: int = 2,
    frames: int = 4,
    size: int = 32,
    seed: int = 0,
    streams=("rgb", "flow", "objects"),
) -> dict[str, tf.Tensor]:
    random = np.random.default_rng(seed)
    shape = (batch, frames, size, size)
    drawn = {
        "rgb": random.integers(0, 256, (*shape, 3), np.uint8),
        "flow": random.normal(0, 2, (*shape, 2)).astype(np.float32),
        "objects": random.integers(0, OBJECTS, shape, np.uint8),
    }
    # Objects in patches: in noise every window would hold every class.
    patches = drawn["objects"][:, :, ::8, ::8].repeat(8, axis=2).repeat(8, axis=3)
    drawn["objects"] = patches[:, :, :size, :size]
    return {name: tf.constant(drawn[name]) for name in streams}


def logits(model: AssembleNet, features: dict[str, tf.Tensor]) -> np.ndarray:
    return model(features, training=False)["logits"].numpy()
