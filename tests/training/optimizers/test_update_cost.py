"""What optimizers add for each weight, counted from a traced step."""

from __future__ import annotations

import pytest

from official_vision.specs import OptimizerSpec, TrainSpec
from official_vision.training.devices.program import SGD_UPDATE
from official_vision.training.optimizers.update_cost import UpdateCost, update_cost


def cost(**settings) -> UpdateCost:
    return update_cost(OptimizerSpec(**settings), TrainSpec(), 4)


def test_plain_sgd_is_what_the_operations_of_a_step_were_counted_with():
    assert cost() == UpdateCost(1, SGD_UPDATE, 0)


@pytest.mark.parametrize(
    ("settings", "slots"),
    [
        ({"momentum": 0.0}, 0),
        ({"name": "adam"}, 2),
        ({"name": "adam_experimental"}, 2),
        ({"name": "lamb", "decay": "decoupled"}, 2),
    ],
)
def test_slots_are_the_optimizers(settings, slots):
    assert cost(**settings).slots == slots


def test_clipping_averages_and_composed_optimizers_add_operations():
    """LAMB is of single operations, where Adam is one."""
    clipped, averaged = cost(gradient_clip_norm=1.0), cost(ema_decay=0.9)
    assert clipped.operations >= SGD_UPDATE + 3  # the square, its place in the sum, and the product
    assert (averaged.operations, averaged.slots) == (SGD_UPDATE, 1)
    assert averaged.average_operations >= 4  # two reads, difference, product
    assert cost(name="lamb", decay="decoupled").operations > 4 * cost(name="adam").operations
