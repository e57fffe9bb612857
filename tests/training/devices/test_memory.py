"""The memory that a step needs: what each setting changes, and the line about it."""

import dataclasses
from pathlib import Path

import pytest

from official_vision.training.devices import memory
from tests.training import runs


def need(replicas=1, **settings):
    config = runs.config(Path("data"), Path("run"), "small", **settings)
    return memory.need_of(config, runs.architecture(), replicas)


def test_a_part_of_a_batch_needs_its_share_of_activations():
    whole = need(batch_size=8)
    assert need(batch_size=8, accumulation_steps=4).activations * 4 == whole.activations
    assert need(replicas=2, batch_size=8).activations * 2 == whole.activations
    assert need(batch_size=8, precision="mixed_bfloat16").activations * 2 == whole.activations
    assert need(batch_size=8, rematerialise="norms").activations * 2 == whole.activations
    assert need(batch_size=8, rematerialise="everything").activations < whole.activations
    assert need(batch_size=8, accumulation_steps=4).gradients == 2 * whole.gradients


@pytest.mark.parametrize(
    ("settings", "slots"),
    [({}, 1), ({"momentum": 0.0}, 0), ({"name": "adam"}, 2), ({"name": "adam_experimental"}, 2)],
)
def test_slots_are_the_optimizers(settings, slots):
    needed = need(**settings)
    assert needed.slots == slots * needed.gradients
    assert need(ema_decay=0.9, **{**settings, "name": "sgd"}).slots >= needed.weights


def test_inputs_by_hand():
    pixels = runs.FRAMES * runs.SIZE**2
    assert need(batch_size=8).inputs == 2 * 8 * pixels * (3 + 2 * 4 + 1)


def test_the_line_shows_what_fits():
    mebibyte = 2**20
    some = memory.Need(40 * mebibyte, 4 * mebibyte, 3 * mebibyte, 2 * mebibyte, mebibyte)
    fits = memory.describe_need(some, (60 * mebibyte, "this machine"))
    assert fits.startswith(
        "memory: a step needs at least 50 MiB (activations 40, weights 4, gradients 3"
    )
    assert fits.endswith("this machine has 60 MiB free")
    assert memory.describe_need(some, None).endswith(")")
    warned = memory.describe_need(some, (60 * mebibyte, "this machine"), replicas_here=2)
    assert warned.startswith("warning: memory: a step needs at least 100 MiB")
    for remedy in ("accumulation_steps", "rematerialise", "batch_size"):
        assert remedy in warned
    assert "\n" not in warned


def test_the_memory_of_this_machine_is_known():
    free, place = memory.available()
    assert place
    assert free > dataclasses.astuple(need())[0]
