"""The memory of a training step's operations in a process: their trace, their graph and their kernels.

Measured with clips of 4 x 32 x 32, of which next to nothing is activations: growth of a process from before the
network is built to the end of its first step, over the number of operations in the step's graph. For eight graphs of
8886 to 28807 operations (with and without gates, each TrainSpec.rematerialise, float32 and bfloat16, in parts) the
line below is off by 7 % at most with SGD with momentum. Operations of other optimizers, of clipping and of moving
averages of weights are counted by tracing a few weights' update (optimizers/update_cost.py); the whole estimate was
then within 8 % for Adam, AdamW and LAMB with averages, clipping and parts, and 15 % too high for LARS with averages.
"""

from __future__ import annotations

from official_vision.architecture.cost.network_cost import Cost
from official_vision.specs import TrainSpec
from official_vision.training.optimizers.update_cost import UpdateCost

_START = 80 * 2**20  # TensorFlow's when it first computes
_OF_OPERATION = 24 * 2**10
# Operations of one step, forward and backward and the update of weights by SGD with momentum.
_CONVOLUTION = 60  # with its batch norm and activation
_CONNECTION = 20
_CANDIDATE = 16  # that a gate reads
SGD_UPDATE = 5  # of these, for each weight that is moved, as update_cost counts them
_NORM_AGAIN = 14  # more for each convolution with TrainSpec.rematerialise = 'norms'
_ALL_AGAIN = 1.56  # times as many with 'everything'
_HALF = 1.14  # times as many in half precision, by conversions
_AVERAGES = 2  # times what they are counted as: they are a function, of which TensorFlow puts a copy into the step
_IN_PARTS = 1.37  # times as many where parts of a batch are summed in a loop, of whose body there are two copies


def program_bytes(cost: Cost, rematerialise: str, train: TrainSpec, update: UpdateCost) -> int:
    """Estimates the memory of a step's operations.

    Args:
      cost: of the network.
      rematerialise: what is computed again indeed, as TrainSpec.rematerialise.
      train: its precision and parts are read.
      update: what moving a weight adds.
    """
    convolutions, connections, candidates = _counts(cost)
    each = _CONVOLUTION + (_NORM_AGAIN if rematerialise == "norms" else 0)
    operations = each * convolutions + _CONNECTION * connections + _CANDIDATE * candidates
    operations *= _ALL_AGAIN if rematerialise == "everything" else 1
    operations *= _HALF if train.precision != "float32" else 1
    operations *= _IN_PARTS if train.accumulation_steps > 1 else 1
    weights, statistics = number_of_weights(cost)
    operations += (update.operations - SGD_UPDATE) * weights
    operations += _AVERAGES * update.average_operations * (weights + statistics)
    return round(_START + _OF_OPERATION * operations)


def number_of_weights(cost: Cost) -> tuple[int, int]:
    """Counts the weights that a step moves, and the statistics of batch norms; -lite networks have a few fewer."""
    convolutions, *_ = _counts(cost)
    weights, norms = convolutions + 2, convolutions  # kernels; the classifier's matrix and offset
    for node in (cost.plan[index] for index in cost.alive if cost.plan[index].fusion):
        norms -= len(node.fusion.convolved_widths)  # what is summed has none
        weights += len(node.fusion.inputs) > 1  # the strengths
        for source in node.gate_sources(cost.setting.gate):
            weights += 2  # a matrix and an offset
            if isinstance(
                source.nodes, tuple
            ):  # logits of peers, and a matrix of maps to one width
                weights += 1 + (len({cost.plan[peer].output_channels for peer in source.nodes}) > 1)
    return weights + 2 * norms, 2 * norms


def _counts(cost: Cost) -> tuple[int, int, int]:
    """Returns convolutions, connections, and candidates that gates read."""
    convolutions = connections = candidates = 0
    for node in (cost.plan[index] for index in cost.alive):
        if node.stem is not None:
            sizes = (node.stem.kernel_size, node.stem.temporal_kernel_size)
            convolutions += sum(map(bool, sizes))
            continue
        convolutions += len(node.fusion.convolved_widths)
        convolutions += sum(len(m.convolutions) + m.projects for m in node.modules)
        connections += len(node.fusion.inputs)
        for source in node.gate_sources(cost.setting.gate):
            candidates += len(source.nodes) if isinstance(source.nodes, tuple) else 1
    return convolutions, connections, candidates
