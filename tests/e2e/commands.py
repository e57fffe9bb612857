"""The commands of tools/ as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
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
