"""Runs training in an isolated process: what it leaks or breaks ends with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import traceback
from pathlib import Path

from official_vision.config import Config
from official_vision.errors import StoppedError, UserError

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
    # Not forked: TensorFlow's threads, where the parent has any, would be missing in the child.
    process = multiprocessing.get_context("spawn").Process(target=_train, args=(config, str(log)))
    process.start()
    try:
        process.join()
    except BaseException:  # Ctrl-C, which the terminal has sent to the child as well
        process.terminate()
        process.join()
        raise
    if process.exitcode == 0:
        return ""
    if process.exitcode < 0:
        return f"its process was ended by signal {-process.exitcode}; see {log}"
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    return last[0] if last else f"it left with status {process.exitcode}; see {log}"


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
