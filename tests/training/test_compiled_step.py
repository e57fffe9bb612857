"""A training step that XLA compiles takes the same way as one that TensorFlow runs operation by operation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.files import read_json
from official_vision.modeling.execution import in_precision
from official_vision.specs import ConnectivitySpec, TrainSpec
from official_vision.training.devices.compilation import is_compiled
from official_vision.training.run import train
from official_vision.training.task import VideoTask
from tests.training import runs, steps
from tests.training.test_run import losses_of

STEPS = 20


def whole_step(compiled: bool) -> VideoTask:
    """Two optimizers, parts, clipping, decay, a moving average and a frozen stem."""
    return steps.make_task(
        {"name": "adam", "learning_rate": 0.003},
        ("rgb", "objects"),
        learning_rate=0.003,
        gradient_clip_norm=1.0,
        accumulation_steps=2,
        ema_decay=0.9,
        weight_decay=1e-2,
        frozen=("node_00/",),
        compiled=compiled,
    )


def bilevel_search(compiled: bool) -> VideoTask:
    """Two batches a step in bfloat16, of which one moves strengths and peers."""
    task = steps.make_task(
        {"name": "adam", "learning_rate": 0.001},
        ("rgb",),
        learning_rate=0.0002,
        precision="mixed_bfloat16",
        compiled=compiled,
    )
    terms = ConnectivitySpec(updates="bilevel", strength_entropy_weight=0.1)
    task.config = dataclasses.replace(task.config, connectivity=terms)
    return task


@pytest.mark.slow
def test_the_whole_step_compiles_with_xla() -> None:
    """Measured over 20 steps: losses equal to 2e-6, weights to 2e-6 of each one's greatest."""
    (losses, weights), (compiled_losses, compiled) = (
        steps.after(whole_step(compiled), STEPS) for compiled in (False, True)
    )
    before = steps.weights(steps.start(whole_step(False))[0])
    moved = steps.moved(before, weights)
    assert losses[-1] < 0.5 * losses[0]
    assert len(moved) > 20
    np.testing.assert_allclose(compiled_losses, losses, rtol=1e-4)
    for name, value in weights.items():
        np.testing.assert_allclose(
            compiled[name], value, atol=1e-4 * np.abs(value).max() + 1e-9, err_msg=name
        )


@pytest.mark.slow
def test_a_bilevel_step_compiles_with_xla_in_bfloat16() -> None:
    """Sums in other orders round otherwise, to 8 bits: 20 losses are equal to 2 % of the first."""
    batches = (steps.batch(seed=0), steps.batch(seed=1))
    with in_precision("mixed_bfloat16"):
        (losses, _), (compiled, weights) = (
            steps.after(bilevel_search(compiled), STEPS, batches) for compiled in (False, True)
        )
        before = steps.weights(steps.start(bilevel_search(True))[0])
    moved = steps.moved(before, weights)
    assert losses[-1] < 0.9 * losses[0]
    assert any("strength" in name for name in moved)
    np.testing.assert_allclose(compiled, losses, atol=0.02 * losses[0])


@pytest.mark.slow
def test_a_compiled_run_trains_evaluates_and_records_as_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Waiting for input, its clock, summaries and the search for NaN are around what XLA compiles."""
    data, graph = runs.write_data(tmp_path / "data"), runs.save_small(tmp_path, streams=("rgb",))
    results, losses = {}, {}
    for compiled in (None, True):
        folder, settings = tmp_path / str(compiled), {"steps": 6, "precise_batch_norm_batches": 2}
        results[compiled] = train(runs.config(data, folder, graph, compiled=compiled, **settings))
        losses[compiled] = losses_of(folder)
        first = capsys.readouterr().out.splitlines()[0]
        assert first.startswith("devices: the CPU, ")
        assert first.endswith(", float32, XLA" if compiled else ", float32")
        assert read_json(folder / "summary.json")["seconds"]["waiting for input"] > 0
    assert list(losses[True]) == [2, 4, 6]
    np.testing.assert_allclose(list(losses[True].values()), list(losses[None].values()), rtol=1e-4)
    assert results[True].figures == pytest.approx(results[None].figures, rel=1e-3)


def test_what_is_compiled_has_no_operations_for_cpus() -> None:
    for compiled in (None, False, True):
        task = steps.make_task(compiled=compiled)
        assert task.build_model().execution.cpu_kernels == (not compiled)


def test_several_cpu_devices_cannot_be_compiled() -> None:
    class Two:
        """Stands for a strategy over two CPU devices, which one process of tests can't make."""

        num_replicas_in_sync = 2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.distribute, "get_strategy", Two)
        assert not is_compiled(TrainSpec())
        with pytest.raises(UserError, match=r"Received: True on 2 of them\. Leave it at None"):
            is_compiled(TrainSpec(compiled=True))


def test_a_tpu_compiles_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    from official_vision.training.devices import compilation

    monkeypatch.setattr(compilation, "computing_kinds", lambda: {"TPU"})
    assert is_compiled(TrainSpec())
    assert not compilation.wraps_step(TrainSpec())
    with pytest.raises(UserError, match="can't be False on a TPU"):
        is_compiled(TrainSpec(compiled=False))
