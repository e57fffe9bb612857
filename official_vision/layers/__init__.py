"""AssembleNet++'s layers for anybody's tf_keras model: feature maps are [batch, time, height, width, channels].

Time is an axis here, where the layers of `official_vision.modeling` have it merged into the batch; they compute the
same. All are saved and loaded with the models that they are part of.
"""

from official_vision.layers.fusion import WeightedFusion
from official_vision.layers.gates import PeerAttentionGate, PeerGate, SelfGate, StaticGate
from official_vision.layers.head import ClassificationHead
from official_vision.layers.residual import Bottleneck2D, Bottleneck2Plus1D, InvertedBottleneck
from official_vision.layers.stems import FlowStem, ObjectStem, RgbStem
from official_vision.modeling.flow import RepresentationFlow

__all__ = [
    "Bottleneck2D",
    "Bottleneck2Plus1D",
    "ClassificationHead",
    "FlowStem",
    "InvertedBottleneck",
    "ObjectStem",
    "PeerAttentionGate",
    "PeerGate",
    "RepresentationFlow",
    "RgbStem",
    "SelfGate",
    "StaticGate",
    "WeightedFusion",
]
