"""The settings of a run on which a network's cost depends, besides its graph."""

from __future__ import annotations

from official_vision.architecture.cost.network_cost import Setting
from official_vision.specs import DataSpec, ModelSpec


def setting_of(model: ModelSpec, data: DataSpec) -> Setting:
    """Returns the setting of architecture/cost/network_cost.py for clips of `data` through a network of `model`."""
    model = model.with_numbers()
    return Setting(
        gate=model.gate,
        frames=data.frames,
        size=data.size,
        num_classes=model.num_classes,
        num_object_classes=model.num_object_classes,
        frame_pooling=model.frame_pooling,
        flow_source=model.flow_source,
        flow_iterations=model.flow_iterations,
    )
