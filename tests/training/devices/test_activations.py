"""Values between forward and backward pass: by hand, and for each rematerialisation."""

from __future__ import annotations

import math

import pytest

from official_vision.architecture.cost.network_cost import Setting, estimate
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.training.devices.activations import Values, kept_values, values_of_node

FRAMES, SIZE = 2, 32
SETTING = Setting(gate="none", frames=FRAMES, size=SIZE, num_object_classes=7)
# rgb at a quarter of the size with 4 channels; a block of 2 modules, C = 2, M = 16 / 1 of level 1.
GRAPH = Architecture(
    "one block", (Stem("rgb", 4), Stem("object", 7), Block(1, (0, 1), 2)), depth=26
)


def cost():
    return estimate(GRAPH, SETTING)


def test_a_stem_by_hand():
    half, quarter = FRAMES * 16**2, FRAMES * 8**2
    # A 7 x 7 convolution, a temporal one, each with its norm, a pool, and the frames as floats.
    expected = Values(2 * half * 4, 0, 2 * half * 4, pooled=quarter * 4, entered=FRAMES * 32**2 * 3)
    assert values_of_node(cost(), 0, scales_kernels=False) == expected
    assert values_of_node(cost(), 1, scales_kernels=False) == Values(pooled=quarter * 7)


def test_a_block_by_hand():
    """26 layers have two modules in a block of level 1, of which the first projects."""
    plan = cost().plan[2]
    positions, target = FRAMES * 8**2, plan.fusion.target_channels
    wide, modules = plan.output_channels, len(plan.modules)
    narrow = sum(c.outputs for m in plan.modules for c in m.convolutions[:2])
    values = values_of_node(cost(), 2, scales_kernels=False)
    assert values.normalised == positions * narrow
    assert values.convolved == positions * (narrow + modules * wide + wide)
    assert values.computed_again == positions * (modules * wide + wide)
    assert values.sums == positions * modules * wide
    read = sum(w for w in plan.fusion.input_channels if w != target)
    assert values.fused == positions * (target + read)
    # Kernels are scaled in place of lone inputs, of which each frame's 64 pixels are enough.
    assert 8**2 >= 2 * target
    assert values_of_node(cost(), 2, scales_kernels=True).fused == positions * target


def test_what_stays_in_memory():
    nodes = [values_of_node(cost(), index, scales_kernels=True) for index in range(3)]
    assert kept_values(cost(), "nothing", scales_kernels=True) == sum(v.all for v in nodes)
    assert kept_values(cost(), "norms", True) == sum(v.without_norms for v in nodes)
    outputs = sum(math.prod(cost().shape(index)) for index in range(3))
    inside = sorted(v.all for v in nodes)[1:]
    assert kept_values(cost(), "everything", True) == 2 * outputs + sum(inside)


@pytest.mark.parametrize("way", ["nothing", "norms", "everything"])
def test_more_frames_are_so_many_times_the_values(way):
    longer = estimate(GRAPH, Setting(gate="none", frames=6, size=SIZE, num_object_classes=7))
    assert kept_values(longer, way, True) == 3 * kept_values(cost(), way, True)
