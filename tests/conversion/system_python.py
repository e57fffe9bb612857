"""Runs scripts by the system's Python, which has PyTorch and torchvision."""

import os
import subprocess
from pathlib import Path

import pytest
import safetensors

_PYTHON = Path("/usr/bin/python3")


def run_by_torch(script: str, name: str, folder: Path) -> None:
    """Runs a script of this folder, or skips the test where there is no PyTorch; fails where CI lacks it."""
    check = [_PYTHON, "-c", "import torch, torchvision"]
    if not _PYTHON.exists() or subprocess.run(check, capture_output=True, check=False).returncode:
        assert os.environ.get("CI") != "true", "CI compares with torchvision: see .ci/run"
        pytest.skip("the system's Python has no torchvision")
    packages = Path(safetensors.__file__).parents[1]
    subprocess.run([_PYTHON, Path(__file__).with_name(script), name, packages, folder], check=True)
