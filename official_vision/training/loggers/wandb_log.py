"""A run in Weights & Biases, online or, with WANDB_MODE=offline, in files of the run's folder."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from official_vision.training.loggers.logger import FINISHED
from official_vision.training.loggers.run_ids import run_id

_PROJECT = "official_vision"


class WandbLogger:
    """Writes figures as train/NAME and validation/NAME, and settings as the configuration, of one run.

    The figures of a step are one row, in the order of steps: a step that is done again after a kill stays as it
    was first logged. A resumed run has the same id; offline its files are another folder of that id, and `wandb
    sync` sends both.
    """

    name = "wandb"

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        """Begins or resumes the run.

        Args:
          folder: of the run, whose name is that of the run there.
          settings: by name.

        Raises:
          ModuleNotFoundError: wandb is not installed.
        """
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or _PROJECT,
            name=os.environ.get("WANDB_NAME") or folder.resolve().name,
            id=run_id(folder, "wandb", lambda: secrets.token_hex(8)),
            resume="allow",
            dir=str(folder),
            # The screen is this package's: nothing is printed there, nor sent from there.
            settings=wandb.Settings(silent=True, console="off"),
        )
        self._run.config.update(dict(settings), allow_val_change=True)

    def resume(self, step: int) -> None:
        """Does nothing: wandb itself passes over steps that it has."""

    def log(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Adds the figures to the row of a step."""
        self._run.log({f"{kind}/{name}": value for name, value in values.items()}, step=step)

    def close(self, outcome: str) -> None:
        """Ends the run, with exit code 1 if it was stopped or failed; wandb's process sends or writes the rest."""
        self._run.finish(exit_code=0 if outcome == FINISHED else 1)
