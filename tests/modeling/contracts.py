"""The contract table: every layer of the package with all its arguments away from their defaults.

A new layer gets a row here; test_contracts.py fails as long as it has none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from official_vision.modeling.block import ConvolutionalBlock
from official_vision.modeling.flow import RepresentationFlow
from official_vision.modeling.fusion import WeightedFusion
from official_vision.modeling.gates import (
    ChannelGate,
    MergedPeerGate,
    PeerAttentionGate,
    StaticGate,
)
from official_vision.modeling.head import ClassificationHead
from official_vision.modeling.inverted import InvertedBottleneck
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.batch_norm import ChannelBias
from official_vision.modeling.ops.convolution import TemporalConvolution
from official_vision.modeling.residual import ResidualModule2D, ResidualModule2Plus1D
from official_vision.modeling.stems import ConvolutionalStem, ObjectStem
from tests.modeling import small, twins

FRAMES = 3
ROWS = 2 * FRAMES


@dataclasses.dataclass(frozen=True)
class Contract:
    """A layer, how it is made and what it is called with.

    Attributes:
      layer: the class.
      arguments: makes all constructor arguments (layers among them can't be shared).
      inputs: makes the arrays of a call's arguments, each an array, a list or a dict of them.
      frames: the call's last argument is the number of frames.
      float32_always: the output is float32 under every policy.
    """

    layer: type
    arguments: Callable[[], dict[str, Any]]
    inputs: Callable[[], Sequence[Any]]
    frames: bool = True
    float32_always: bool = False


def _maps(channels: int, size: int = 6, seed: int = 0) -> np.ndarray:
    return twins.maps(ROWS, size, size, channels, seed=seed)


def _averages(*widths: int) -> list[np.ndarray]:
    return [twins.maps(ROWS, width, seed=width) for width in widths]


def _ids() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 50, (ROWS, 7, 9), np.uint8)


def _block() -> dict[str, Any]:
    return {
        "gates": [PeerAttentionGate(3, (2, 4)), ChannelGate(5, 3)],
        "fusion": WeightedFusion((3, 5), 5, (0.2, 0.9)),
        "modules": [
            ResidualModule2D(2, 3, 2, True),
            ResidualModule2Plus1D(2, 3, 1, False, 2),
        ],
    }


CONTRACTS = (
    Contract(
        TemporalConvolution,
        lambda: {"filters": 4, "kernel_size": 5, "dilation": 2},
        lambda: [_maps(3)],
        frames=False,
    ),
    Contract(
        ResidualModule2D,
        lambda: {
            "channels": 2,
            "middle_channels": 3,
            "stride": 2,
            "projects": True,
            "padding": "same",
            "downsampling": "first",
        },
        lambda: [_maps(3)],
    ),
    Contract(
        ResidualModule2Plus1D,
        lambda: {
            "channels": 2,
            "middle_channels": 3,
            "stride": 2,
            "projects": True,
            "temporal_dilation": 2,
            "padding": "same",
        },
        lambda: [_maps(3)],
    ),
    Contract(
        InvertedBottleneck,
        lambda: {
            "channels": (3, 4, 5),
            "stride": 2,
            "projects": True,
            "temporal_dilation": 2,
            "padding": "same",
        },
        lambda: [_maps(3)],
    ),
    Contract(
        ConvolutionalStem,
        lambda: {
            "channels": 3,
            "kernel_size": 7,
            "temporal_kernel_size": 5,
            "temporal_dilation": 2,
            "pool_size": 3,
            "padding": "same",
            "pool_padding": "symmetric",
        },
        lambda: [_maps(3, 9)],
    ),
    Contract(
        ObjectStem,
        lambda: {"num_object_classes": 40},
        lambda: [_ids()],
        frames=False,
    ),
    Contract(
        WeightedFusion,
        lambda: {
            "input_channels": (3, 5),
            "target_channels": 4,
            "strengths": (0.2, 0.9),
        },
        lambda: [[_maps(3), _maps(5)], _averages(3, 5)],
        frames=False,
    ),
    Contract(ChannelBias, dict, lambda: [_maps(4)], frames=False),
    Contract(StaticGate, lambda: {"channels": 4}, lambda: _averages(3), frames=False),
    Contract(
        ChannelGate,
        lambda: {"channels": 4, "source_channels": 3},
        lambda: _averages(3),
        frames=False,
    ),
    Contract(
        PeerAttentionGate,
        lambda: {"channels": 4, "candidate_channels": (2, 5, 3)},
        lambda: [_averages(2, 5, 3)],
        frames=False,
    ),
    Contract(
        MergedPeerGate,
        lambda: {"channels": 4, "candidate_channels": (2, 5, 3)},
        lambda: [_averages(2, 5, 3)],
        frames=False,
    ),
    Contract(
        RepresentationFlow,
        lambda: {
            "iterations": 3,
            "step_tau": 0.2,
            "weight_lambda": 0.2,
            "tightness_theta": 0.4,
            "border": "textbook",
            "stretch": "batch",
        },
        lambda: [twins.maps(2, FRAMES, 6, 6, 3)],
        frames=False,
        float32_always=True,
    ),
    Contract(
        ClassificationHead,
        lambda: {
            "num_classes": 4,
            "frame_pooling": "softmax",
            "dropout_rate": 0.3,
            "hidden_channels": 6,
        },
        lambda: _averages(5),
        float32_always=True,
    ),
    Contract(
        ConvolutionalBlock,
        _block,
        lambda: [[_maps(3), _maps(5)], [_averages(2, 4), *_averages(3)]],
    ),
    Contract(
        AssembleNet,
        lambda: {
            "architecture": small.architecture(),
            "spec": small.spec(
                depth=None, width_multiplier=1.0, frame_pooling="softmax", activation="sigmoid"
            ),
        },
        lambda: [{name: stream.numpy() for name, stream in small.clips(2, FRAMES).items()}],
        frames=False,
        float32_always=True,
    ),
)
