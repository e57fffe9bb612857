"""Runs training in an isolated process: what it leaks or breaks ends with it."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path

from official_vision.config import Config
from official_vision.errors import StoppedError, UserError
from official_vision.processes.start import run_function

LOG_FILE = "output.log"  # what the run printed
_USER_ERROR = 1


def train_in_child(config: Config) -> str:
    """Trains in a child process, whose output goes to LOG_FILE in TrainSpec.model_dir.

    Args:
      config: of the run, which continues from its folder.

    Returns:
      Empty when the run finished; else the reason, in one line.
    """
    model_dir = Path(config.train.model_dir)
    model_dir.mkdir(parents=True, exist_ok=True)
    log = model_dir / LOG_FILE
    log.touch()  # also of a child that does not get as far as to write to it
    status = run_function(_train, config, str(log))
    if status == 0:
        return ""
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    if status < 0 or not last:
        return f"its process ended with exit status {status}; see {log}"
    return last[0]


def _train(config: Config, log: str) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with (
        open(log, "a", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        from official_vision.training.run import train

        try:
            train(config)
        except UserError as error:
            print(error)
            file.flush()
            sys.exit(_USER_ERROR)
        except StoppedError as stopped:
            print(f"stopped: {stopped}", flush=True)
            sys.exit(_USER_ERROR)
        except Exception:  # a defect: the whole of it belongs in the log
            traceback.print_exc()
            file.flush()
            sys.exit(_USER_ERROR)
