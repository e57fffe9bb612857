"""All loggers of a run as one, which goes on without those that fail."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import extras
from official_vision.config import Config
from official_vision.errors import StoppedError, UserError
from official_vision.training.loggers.csv_log import CsvLogger
from official_vision.training.loggers.logger import FAILED, FINISHED, STOPPED, Logger
from official_vision.training.loggers.mlflow_log import MlflowLogger
from official_vision.training.loggers.wandb_log import WandbLogger

_ELSEWHERE = ("prepare", "search", "evolution")  # sections that training does not read
_PACKAGES = {"mlflow": "mlflow", "wandb": "wandb"}
_MOST_CHARACTERS = 300  # of another program's error


class RunLog:
    """Hands every point to each logger; one that fails is left out from then on, after one line about it."""

    def __init__(self, note: Callable[[str], None]):
        """Args:
        note: shows the user a line.
        """
        self._loggers: list[Logger] = []
        self._note = note
        self._step = 0

    def add(self, logger: Logger) -> None:
        """Adds a logger, which `close` will end."""
        self._loggers.append(logger)

    def resume(self, step: int, note: Callable[[str], None]) -> None:
        """Goes on at a step: after the start of a process, and when a run returns to a checkpoint.

        Args:
          step: 0 for a new run.
          note: shows the user a line from now on.
        """
        self._step, self._note = step, note
        self._each(lambda logger: logger.resume(step))

    def log(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Logs the figures of one point, as `Logger.log`."""
        self._step = step
        self._each(lambda logger: logger.log(kind, step, values))

    def close(self, outcome: str, note: Callable[[str], None]) -> None:
        """Ends all logs; `note` shows a line."""
        self._note = note
        self._each(lambda logger: logger.close(outcome))
        self._loggers = []

    def _each(self, call: Callable[[Logger], None]) -> None:
        for logger in tuple(self._loggers):
            try:
                call(logger)
            except Exception as error:  # of any library, of a disk or of a server
                self._loggers.remove(logger)
                self._note(
                    f"warning: logger {logger.name} failed at step {self._step} ({_reason(error)}); "
                    "training goes on without it, and a resumed run tries it again"
                )


@contextlib.contextmanager
def run_log(
    config: Config, folder: Path, note: Callable[[str], None], *, is_chief: bool
) -> Iterator[RunLog]:
    """Opens the loggers of TrainSpec.loggers, and closes them when the block ends, however it does.

    Args:
      config: settings of the run, which loggers record.
      folder: of the run.
      note: shows the user a line.
      is_chief: this process is the one that writes; the others log nothing.

    Raises:
      UserError: a logger cannot begin.
      ModuleNotFoundError: its package is not installed.
    """
    log = RunLog(note)
    outcome = FAILED
    try:
        for logger in _opened(config, folder) if is_chief else ():
            log.add(logger)
        yield log
        outcome = FINISHED
    except (StoppedError, KeyboardInterrupt):
        outcome = STOPPED
        raise
    finally:
        log.close(outcome, note)


def check_packages(names: Sequence[str]) -> None:
    """Imports what loggers need, before anything is read or written.

    Args:
      names: of TrainSpec.loggers.

    Raises:
      UserError: a package is not installed; the message names its extra.
    """
    for name in sorted({*names} & {*_PACKAGES}):
        try:
            importlib.import_module(_PACKAGES[name])
        except ModuleNotFoundError as error:
            raise UserError(extras.missing(error)) from error


def settings_of(config: Config) -> dict[str, Any]:
    """Returns the settings that training reads, by "section.name"."""
    return {
        f"{section}.{name}": value
        for section, settings in config.to_dict().items()
        if section not in _ELSEWHERE
        for name, value in settings.items()
    }


def _opened(config: Config, folder: Path) -> Iterator[Logger]:
    makers: dict[str, Callable[[], Logger]] = {
        "csv": lambda: CsvLogger(folder),
        "mlflow": lambda: MlflowLogger(folder, settings_of(config)),
        "wandb": lambda: WandbLogger(folder, settings_of(config)),
    }
    for name in dict.fromkeys(config.train.loggers):
        if name not in makers:  # tensorboard
            continue
        try:
            logger = makers[name]()
        except (ModuleNotFoundError, UserError):
            raise
        except Exception as error:
            raise UserError(
                f"A logger of TrainSpec.loggers must be able to begin. Received: {name} ({_reason(error)}). "
                f"Mend that, or leave {name} out."
            ) from error
        yield logger


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:_MOST_CHARACTERS]
