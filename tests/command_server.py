"""Starts commands of tools/ as forks of one process that has imported TensorFlow already: seconds less for each.

As a program: reads one JSON line per command (see `tests.commands.Command`), forks, and prints the process's id. Once
it has ended, its exit status, negative for a signal, appears in the file that the line names.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

POLL_SEC = 0.01


def _serve() -> dict[str, Any]:
    """Returns in the forked process alone, with the command that it is to run."""
    status_files: dict[int, str] = {}
    buffer = b""
    while True:
        if select.select([0], [], [], POLL_SEC)[0]:
            received = os.read(0, 65536)
            if not received:
                sys.exit(0)
            buffer += received
        while b"\n" in buffer:
            line, buffer = buffer.split(b"\n", 1)
            command = json.loads(line)
            process = os.fork()
            if not process:
                return command
            status_files[process] = command["status"]
            print(process, flush=True)
        _report_ended(status_files)


def _report_ended(status_files: dict[int, str]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            path = status_files.pop(ended[0])
            Path(f"{path}.new").write_text(str(os.waitstatus_to_exitcode(ended[1])))
            os.replace(f"{path}.new", path)


def _become(command: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(command[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
    os.chdir(command["cwd"])
    os.environ.clear()
    os.environ.update(command["environment"])
    tempfile.tempdir = None  # of another TMPDIR
    tool, *flags = command["arguments"]
    sys.argv = [tool, *flags]
    sys.path[0] = str(Path(tool).parent)
    status = 0
    try:
        runpy.run_path(tool, run_name="__main__")
    except SystemExit as leaving:
        status = leaving.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    # As Python ends a process: pools of processes are shut down first.
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)  # taking TensorFlow's modules apart would take a second


if __name__ == "__main__":
    # As the commands do: it decides which notes TensorFlow prints.
    from official_vision import cli  # noqa: F401
    from official_vision.search import one_shot  # noqa: F401
    from official_vision.serving.export import version_folder  # noqa: F401
    from official_vision.serving.predict import predictor  # noqa: F401
    from official_vision.training import run  # noqa: F401

    gc.freeze()  # or forks would copy what they look through for garbage
    _become(_serve())
