"""The files of a run that wandb writes offline, taken apart by its messages."""

from __future__ import annotations

import pytest

from official_vision.training.loggers.logger import EVALUATION, FINISHED, STOPPED, TRAINING
from official_vision.training.loggers.wandb_log import WandbLogger
from tests.training.loggers.wandb_files import runs_in

pytest.importorskip("wandb")


def test_figures_settings_and_id_of_a_run_and_its_continuation(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("WANDB_MODE", "offline")
    log = WandbLogger(tmp_path, {"train.steps": 8})
    log.resume(0)
    log.log(TRAINING, 2, {"training_loss": 1.25, "gradient_norm/level_1": 0.1 + 0.2})
    log.log(TRAINING, 4, {"training_loss": 0.75})
    log.log(EVALUATION, 4, {"mAP": 0.5})
    log.close(STOPPED)
    log = WandbLogger(tmp_path, {"train.steps": 16})
    log.resume(4)
    log.log(TRAINING, 6, {"training_loss": 0.25})
    log.close(FINISHED)
    first, second = runs_in(tmp_path, 2)
    assert first.name == second.name
    assert len(first.name) == 16
    assert first.config["train.steps"] == 8
    assert second.config["train.steps"] == 16
    assert first.steps == {
        2: {"train/training_loss": 1.25, "train/gradient_norm/level_1": 0.1 + 0.2},
        4: {"train/training_loss": 0.75, "validation/mAP": 0.5},
    }
    assert second.steps == {6: {"train/training_loss": 0.25}}
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert capfd.readouterr().out == ""
