"""What every command in tools/ shares: its flags, quiet start, and one clear line on failure."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

# TensorFlow reads this when it is imported: without it a user's own output drowns in start-up notes,
# an "error" about the missing GPU of every CPU machine among them. Failures are raised all the same.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app, flags, logging

from official_vision import files
from official_vision.errors import StoppedError, UserError

# Python looks for garbage after every 700 objects unless told otherwise. Importing TensorFlow and tracing a
# network make millions that stay: a tenth of the time to the first training step went into looking.
gc.set_threshold(100_000, 50, 50)


class _ReadWhenUsed(types.ModuleType):
    """Stands for a module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


# Keras imports it to recognise tables, of which there are none here: 65 MiB, and 0.2 s of each command.
if "pandas" not in sys.modules and (_found := importlib.util.find_spec("pandas")):
    sys.modules["pandas"] = _stand_in = _ReadWhenUsed("pandas")
    # Whoever looks for a function's file asks every module for its own.
    _stand_in.__spec__, _stand_in.__file__ = _found, _found.origin

INTERRUPTED = 130  # what shells report for a program ended by Ctrl-C
TERMINATED = 143  # likewise for SIGTERM: a run has saved itself before it left
SOME_LEFT_OUT = 3  # the work is done, but for the items that were named


def define_gin_flags() -> None:
    """Defines --gin_file and --gin_bindings; both can be given several times."""
    flags.DEFINE_multi_string(
        "gin_file", [], "Gin file to read; later files win over earlier ones."
    )
    flags.DEFINE_multi_string(
        "gin_bindings", [], "One setting, e.g. 'ModelSpec.depth = 26'; wins over every file."
    )


def run(main: Callable[[], int | None]) -> None:
    """Runs a command: `main` returns its exit status (None is 0).

    A `UserError`, a full disk or a path that can't be used becomes one line on standard error and status 1;
    Ctrl-C becomes status 130; SIGTERM, where a command saves its work, 143. Other exceptions are defects of
    ours and keep their traceback.
    """
    logging.set_verbosity(logging.WARNING)
    app.run(lambda argv: _guarded(main, argv))


def _guarded(main: Callable[[], int | None], argv: Sequence[str]) -> None:
    try:
        if len(argv) > 1:
            raise UserError(
                f"Settings are given as flags. Received: {argv[1]!r}. See {argv[0]} --help."
            )
        status = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    except StoppedError as stopped:
        print(f"stopped: {stopped}", file=sys.stderr)
        status = TERMINATED
    except KeyboardInterrupt:
        print(
            "interrupted: nothing half-written is left; run the same command to go on.",
            file=sys.stderr,
        )
        status = INTERRUPTED
    except Exception as error:
        trouble = files.trouble_of(error)
        if not trouble:
            raise
        print(f"error: {trouble}", file=sys.stderr)
        status = 1
    sys.exit(status or 0)
