"""Common parts of all tests: a quiet TensorFlow with few threads, real videos, hypothesis settings."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# TensorFlow, OpenMP and matplotlib read these when they are first imported, here and in the
# commands that tests start.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # tests give the same numbers everywhere
# TensorFlow leaves oneDNN out on processors without VNNI or AMX: there its other kernels round otherwise.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
os.environ.setdefault("OMP_NUM_THREADS", "2")

import hypothesis
import pytest

from tests.browser import chromium

# As the commands do (official_vision/cli.py): a fifth of the time goes into looking for garbage otherwise.
gc.set_threshold(100_000, 50, 50)

# A run in a shell's background ignores Ctrl-C, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent
FOOTAGE_FOLDER = REPOSITORY / ".cache" / "footage"
FOOTAGE_NAMES = ("bikes", "bigbuckbunny", "carphone_pristine")

hypothesis.settings.register_profile("developer", deadline=None, max_examples=25)
# A submission fails for what it changed, never for the luck of a draw.
hypothesis.settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "developer")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files with slow tests first: at the end of a run no process waits for another's long file."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if sys.version_info >= (3, 12):
        reason = "tensorflow-addons has no wheel for this Python"
        for item in items:
            parameters = str(item.callspec.params) if hasattr(item, "callspec") else ""
            if "tfa:" in item.name + parameters or "[addon]" in item.name:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True, scope="module")
def _lasting_objects() -> Iterator[None]:
    """TensorFlow keeps millions of objects of every graph: none are looked through again after their module."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def footage() -> dict[str, Path]:
    """Name -> path of three real videos: bikes, bigbuckbunny and carphone_pristine.

    bikes: 640 x 272, 250 frames at 25 per second, no sound. bigbuckbunny: 1280 x 720, 132 frames at
    25 per second, with sound. carphone_pristine: 176 x 144, 120 frames at
    29.97 per second, no sound. `tools/fetch_footage.py` fetches them
    once into .cache/footage; nothing is downloaded when they are there.
    """
    paths = {name: FOOTAGE_FOLDER / f"{name}.mp4" for name in FOOTAGE_NAMES}
    if not all(path.is_file() for path in paths.values()):
        command = [sys.executable, "tools/fetch_footage.py", f"--output={FOOTAGE_FOLDER}"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"The test videos are not there. {done.stderr.strip()}", pytrace=False)
    return paths


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium as playwright's Browser (tests/browser.py); the test is skipped without one.

    Of a module, not of the session: while it is open, asyncio.run refuses to run in this thread.
    """
    with chromium() as opened:
        yield opened
