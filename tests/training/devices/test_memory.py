"""The memory that a step needs: what each setting changes, the line about it, and a step that is measured."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from official_vision.architecture.cost.network_cost import estimate
from official_vision.modeling.builder import build_model
from official_vision.training.cost_setting import setting_of
from official_vision.training.devices import memory
from official_vision.training.devices.program import number_of_weights
from tests.training import runs

REPOSITORY = Path(__file__).resolve().parents[3]


def need(replicas=1, on_cpu=True, **settings):
    config = runs.config(Path("data"), Path("run"), "small", **settings)
    return memory.need_of(config, runs.architecture(), replicas, on_cpu)


def test_a_part_of_a_batch_needs_its_share_of_activations():
    whole = need(batch_size=8)
    assert need(batch_size=8, accumulation_steps=4).activations * 4 == whole.activations
    assert need(replicas=2, batch_size=8).activations * 2 == whole.activations
    assert need(batch_size=8, precision="mixed_bfloat16").activations * 2 == whole.activations
    assert need(batch_size=8, rematerialise="norms").activations < whole.activations
    assert need(batch_size=8, accumulation_steps=4).gradients == 2 * whole.gradients


def test_norms_of_several_devices_are_not_computed_again():
    """They are synchronised: see `can_recompute`."""
    both = [need(2, batch_size=8, rematerialise=way) for way in ("nothing", "norms")]
    assert both[0] == both[1]


def test_copies_in_half_precision_and_the_program():
    whole, half = need(), need(precision="mixed_bfloat16")
    assert half.weights == whole.weights + whole.gradients // 2
    assert half.program > whole.program > 80 * 2**20
    assert need(accumulation_steps=2).program > 1.1 * whole.program
    assert need(on_cpu=False).program == 0


def test_an_optimizers_state_and_operations():
    usual, adam, averaged = need(), need(name="adam"), need(ema_decay=0.9)
    assert (usual.slots, adam.slots) == (usual.gradients, 2 * usual.gradients)
    assert averaged.slots == usual.slots + usual.weights
    assert averaged.program > usual.program
    assert need(name="lamb", decay="decoupled").program > adam.program


def test_weights_and_statistics_are_counted():
    model = build_model(runs.config(Path("data"), Path("run"), "small").model, runs.architecture())
    config = runs.config(Path("data"), Path("run"), "small")
    cost = estimate(runs.architecture(), setting_of(config.model, config.train_data))
    kinds = (model.trainable_variables, model.non_trainable_variables)
    assert number_of_weights(cost) == tuple(map(len, kinds))


def test_inputs_by_hand():
    pixels = runs.FRAMES * runs.SIZE**2
    assert need(batch_size=8).inputs == 2 * 8 * pixels * (3 + 2 * 4 + 1)


def test_the_line_shows_what_fits():
    mebibyte = 2**20
    some = memory.Need(40 * mebibyte, 4 * mebibyte, 3 * mebibyte, 2 * mebibyte, mebibyte)
    fits = memory.describe_need(some, (60 * mebibyte, "this machine"))
    assert fits.startswith(
        "memory: a step needs about 50 MiB (activations 40, weights 4, gradients 3"
    )
    assert fits.endswith("this machine has 60 MiB free")
    assert memory.describe_need(some, None).endswith(")")
    warned = memory.describe_need(some, (60 * mebibyte, "this machine"), replicas_here=2)
    assert warned.startswith("warning: memory: a step needs about 100 MiB")
    for remedy in ("accumulation_steps", "rematerialise", "batch_size"):
        assert remedy in warned
    assert "\n" not in warned


def test_the_memory_of_this_machine_is_known():
    free, place = memory.available(on_cpu=True)
    assert place == "this machine"
    assert free > dataclasses.astuple(need())[0]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize(
    "settings",
    [
        (
            *(
                "nothing",
                "float32",
                "OptimizerSpec.name = 'adam'",
                "OptimizerSpec.ema_decay = 0.99",
            ),
            "TrainSpec.accumulation_steps = 2",
        ),
        ("everything", "mixed_bfloat16"),
    ],
)
def test_a_step_takes_what_was_estimated(settings):
    """Of a child process, from before the network is built: measured 0.97 and 0.98 of it, held to a fifth."""
    command = [sys.executable, "-m", "tests.training.devices.step_memory", *settings]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    estimated, measured = map(float, done.stdout.split()[-2:])
    assert estimated == pytest.approx(measured, rel=0.2)
