"""How child processes begin and how they ended, as all of them have it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

# Not forked: TensorFlow's threads, where the caller has any, would be missing in the copy.
SPAWN = multiprocessing.get_context("spawn")
_ENDING_SEC = 1.0


def start_module(module: str, descriptor: int) -> subprocess.Popen:
    """Starts a module of this package as a program that talks with its caller.

    Args:
      module: dotted name; its main program reads the descriptor's number from the command line.
      descriptor: of an open pipe or socket, which the child inherits.
    """
    command = [sys.executable, "-m", module, str(descriptor)]
    return subprocess.Popen(command, pass_fds=[descriptor])


def run_script(script: str, arguments: Sequence[str]) -> str:
    """Runs a Python file to its end, without this package on its module path and without GPUs.

    Args:
      script: path of the file.
      arguments: of its command line; files are named by absolute paths.

    Returns:
      Empty where it ended well; else the last line that it said, or its exit status.
    """
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, script, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
    if not done.returncode:
        return ""
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    return lines[-1]


def run_function(function: Callable[..., None], *arguments: Any) -> int:
    """Calls a function in a separate process and waits for the end; an interrupt ends the process too.

    Args:
      function: at the top level of a module.
      *arguments: are pickled.

    Returns:
      The exit status; negative where a signal ended the process.
    """
    process = SPAWN.Process(target=function, args=arguments)
    process.start()
    try:
        process.join()
    except BaseException:  # Ctrl-C, which the terminal has sent to the child as well
        process.terminate()
        process.join()
        raise
    return process.exitcode


def end(process: subprocess.Popen) -> int:
    """Ends a child; returns its exit status, of a child that had died already the one that it died with."""
    try:
        # A child that crashed closes its end of a pipe a moment before it can be waited for.
        return process.wait(timeout=_ENDING_SEC)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
