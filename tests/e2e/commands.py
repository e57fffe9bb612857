"""The commands of tools/ as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# A user has not set what tests/conftest.py sets for tests.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}


def start(tool, *flags):
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "tools" / f"{tool}.py"), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def command(tool, *flags):
    """Runs to the end; returns exit status, standard output and standard error."""
    process = start(tool, *flags)
    stdout, stderr = process.communicate(timeout=300)
    assert "Traceback" not in stderr, stderr
    return process.returncode, stdout, stderr


def refusal(tool, *flags):
    """Returns the one line that a command ends with, with status 1, when it is misused."""
    status, _, stderr = command(tool, *flags)
    assert status == 1
    (line,) = stderr.strip().splitlines()
    assert line.startswith("error: ")
    return line


def kill_when(process, path):
    """Kills the command as soon as the path is there."""
    deadline = time.monotonic() + 200
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
