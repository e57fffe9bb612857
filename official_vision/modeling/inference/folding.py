"""A trained network's weights for inference: linear maps that follow each other become one map.

With fixed statistics a batch norm is a factor and an offset per channel. The factor goes into the
convolution's kernel; what is left is a bias, which TensorFlow's optimizer fuses with the convolution
and the ReLU after it. One-shot peers' shares and maps go into their gates' fully connected layers.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from official_vision.modeling.execution import Execution, in_precision, inference_execution
from official_vision.modeling.gates import MergedPeerGate
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.convolution import BATCH_NORM_EPSILON

_SUFFIX = "_norm"  # `first_norm` follows `first`: all layers here name them so


def folded(
    model: AssembleNet, precision: str = "float32", execution: Execution | None = None
) -> AssembleNet:
    """Builds a network that computes the same without batch norms, and with `MergedPeerGate`s.

    Args:
      model: a network with weights; it is left as it is.
      precision: dtype of weights and feature maps, float32 or bfloat16; logits are float32 anyway.
      execution: how the new network computes; None takes inference on this machine.
    """
    network = _built(model, precision, execution or inference_execution(model.spec))
    values = {path: variable.numpy() for path, variable in _by_path(model).items()}
    _fold_norms(values)
    for index, block in network.blocks().items():
        for gate, old in zip(block.gates, model.blocks()[index].gates, strict=True):
            if isinstance(gate, MergedPeerGate):
                path = f"{block.name}/{gate.name}/{gate.dense.name}"
                values[f"{path}/kernel"], values[f"{path}/bias"] = gate.merged(old)
    _fill(network, values)
    return network


def for_tflite(network: AssembleNet) -> AssembleNet:
    """Builds a network of operations that TFLite has, with the same result.

    Args:
      network: a folded one; it is left as it is.
    """
    copy = _built(network, network.dtype_policy.name, network.execution.for_tflite())
    _fill(copy, {path: variable.numpy() for path, variable in _by_path(network).items()})
    return copy


def _built(model: AssembleNet, precision: str, execution: Execution) -> AssembleNet:
    with in_precision(precision):
        network = AssembleNet(model.architecture, model.spec, execution)
        network.make_weights()
    return network


def _by_path(model: AssembleNet) -> dict[str, tf.Variable]:
    """Returns variables by the names of their layers below the network."""
    return {v.name.split(":")[0].split("/", 1)[1]: v for v in model.variables}


def _fold_norms(values: dict[str, np.ndarray]) -> None:
    """Folds norms: gamma (x - mean) / sqrt(variance + epsilon) + beta = x factor + bias."""
    norms = [path.rpartition("/")[0] for path in values if path.endswith("/moving_mean")]
    for norm in norms:
        gamma, beta, mean, variance = (
            values[f"{norm}/{name}"].astype(np.float64)
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        factor = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        kernel = f"{norm.removesuffix(_SUFFIX)}/kernel"
        # Rounded at once: float64 kernels of a whole network would be twice its size.
        values[kernel] = (values[kernel] * factor).astype(np.float32)
        values[f"{norm}/bias"] = beta - mean * factor


def _fill(network: AssembleNet, values: dict[str, np.ndarray]) -> None:
    """Moves values into variables by path; zero biases, which no trained network has, stay zero."""
    for path, variable in _by_path(network).items():
        if path in values or not path.endswith("zero_bias/bias"):
            exact = tf.constant(values.pop(path), tf.float32)
            variable.assign(tf.cast(exact, variable.dtype))
