"""The values that a training step has in memory between its forward and its backward pass, counted from the graph.

Counts are those of TensorFlow's automatic differentiation of modeling/: a batch norm's gradient reads what went
into the norm, a convolution's what went into the convolution, and sums need nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from official_vision.architecture.cost.network_cost import Cost
from official_vision.architecture.layer_plans import ModulePlan, StemPlan
from official_vision.architecture.plan import NodePlan
from official_vision.modeling.ops.thresholds import CHEAP_CHANNELS, PIXELS_PER_FILTER


@dataclasses.dataclass(frozen=True)
class Values:
    """Numbers of values, of one clip.

    Attributes:
      convolved: outputs of convolutions that a batch norm follows.
      computed_again: those of them that TrainSpec.rematerialise = 'norms' computes twice.
      normalised: what norms and activations made of them, but at the end of residual modules.
      sums: residual sums, which are outputs of modules.
      fused: scaled inputs of blocks, and their sums.
      pooled: outputs of pools.
      entered: a stem's input in floating point.
    """

    convolved: int = 0
    computed_again: int = 0
    normalised: int = 0
    sums: int = 0
    fused: int = 0
    pooled: int = 0
    entered: int = 0

    @property
    def all(self) -> int:
        """Returns the sum of those that automatic differentiation keeps."""
        return sum(dataclasses.astuple(self)) - self.computed_again

    @property
    def without_norms(self) -> int:
        """Returns the sum of those that are left with TrainSpec.rematerialise = 'norms'."""
        return self.all - self.normalised - self.computed_again

    def __add__(self, other: Values) -> Values:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Values(*(a + b for a, b in pairs))


def kept_values(cost: Cost, rematerialise: str, scales_kernels: bool) -> int:
    """Counts the values of one clip at the fullest moment of a step.

    Args:
      cost: of the network.
      rematerialise: as TrainSpec.rematerialise.
      scales_kernels: a lone gated input of a block leaves no scaled map where its 1x1 kernel can be scaled: the
        CPU's way (modeling/ops/cpu_kernels/fused_sums.py).
    """
    of_nodes = {index: values_of_node(cost, index, scales_kernels) for index in sorted(cost.alive)}
    between = Values(pooled=cost.of_role("pool").activation_bytes // 4)
    whole = _added([*of_nodes.values(), between])
    if rematerialise == "nothing":
        return whole.all
    if rematerialise == "norms":
        return whole.without_norms
    # Nodes' outputs and pools stay, beside the gradients that add up for them. Two nodes side by side in the graph
    # are computed again at the same time.
    outputs = sum(_product(cost.shape(index)) for index in cost.alive)
    insides = sorted(values.all for values in of_nodes.values())[-2:]
    return 2 * (outputs + between.pooled) + sum(insides)


def values_of_node(cost: Cost, index: int, scales_kernels: bool) -> Values:
    """Counts one node's values, with the fusion of its inputs; arguments as of `kept_values`."""
    node = cost.plan[index]
    if node.stem is not None:
        return _of_stem(cost, node.stem, _product(cost.shape(index)))
    values, stride = _of_fusion(cost, node, scales_kernels), node.input_stride
    for module in node.modules:
        values += _of_module(cost, module, stride)
        stride *= module.stride
    return values


def _of_stem(cost: Cost, stem: StemPlan, output: int) -> Values:
    pooled = output if stem.pool_size else 0
    if not stem.kernel_size:
        return Values(pooled=pooled)
    positions = cost.setting.positions
    maps = (2 if stem.temporal_kernel_size else 1) * positions(2) * stem.channels
    entered = positions(1) * stem.input_channels
    return Values(convolved=maps, normalised=maps, pooled=pooled, entered=entered)


def _of_fusion(cost: Cost, node: NodePlan, scales_kernels: bool) -> Values:
    """Counts a map for each width that a 1x1 convolution reads, and the sum."""
    fusion, positions = node.fusion, cost.setting.positions(node.input_stride)
    pixels = positions // cost.setting.frames
    by_kernel = scales_kernels and pixels >= PIXELS_PER_FILTER * fusion.target_channels
    read = fusion.target_channels if len(fusion.inputs) > 1 else fusion.input_channels[0]
    for width in fusion.convolved_widths if len(fusion.inputs) > 1 else ():
        is_alone = fusion.input_channels.count(width) == 1
        read += 0 if is_alone and by_kernel else width
    return Values(fused=positions * read)


def _of_module(cost: Cost, module: ModulePlan, stride: int) -> Values:
    values = Values()
    for plan in module.convolutions:
        stride *= plan.stride
        size = cost.setting.positions(stride) * plan.outputs
        again = 0 if plan.activates else size
        values += Values(size, again, size if plan.has_norm and plan.activates else 0)
    sums = cost.setting.positions(stride) * module.output_channels
    if module.projects:
        values += Values(sums, sums if module.input_channels <= CHEAP_CHANNELS else 0)
    return values + Values(sums=sums)


def _added(values: Iterable[Values]) -> Values:
    return sum(values, Values())


def _product(shape: tuple[int, ...]) -> int:
    frames, height, width, channels = shape
    return frames * height * width * channels
