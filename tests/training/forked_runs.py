"""Runs in processes of their own that can be killed: TensorFlow is imported once, and each run forked.

As a program: reads one JSON line a run (its folder and settings), forks, answers with the process's
number, and with its exit status once it has ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.training import runs

REPOSITORY = Path(__file__).resolve().parents[2]


class Forks:
    """Starts runs on one data set, one after another."""

    def __init__(self, folder):
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        self.folder = folder
        self._driver = subprocess.Popen(
            [sys.executable, "-m", "tests.training.forked_runs", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            env=environment,
            text=True,
        )

    def start(self, name, **settings):
        """Begins or continues the run `name`; its screen goes to NAME.screen. Returns its process's number."""
        self._driver.stdin.write(json.dumps([name, settings]) + "\n")
        self._driver.stdin.flush()
        return int(self._driver.stdout.readline())

    def ended(self):
        """Waits for the run that was started last; returns its exit status, negative for a signal."""
        return int(self._driver.stdout.readline())

    def close(self):
        self._driver.stdin.close()
        self._driver.wait(timeout=60)

    def screen(self, name):
        """What the newest attempt of a run has printed."""
        path = self.folder / f"{name}.screen"
        return path.read_text() if path.is_file() else ""


def _child(folder, name, settings):
    screen = os.open(folder / f"{name}.screen", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(screen, 1)
    os.dup2(screen, 2)
    from official_vision import cli

    def main():
        from official_vision.training.run import train

        train(runs.config(folder, folder / name, str(folder / "small.json"), **settings))

    try:
        cli._guarded(main, ["train"], "")
    except SystemExit as leaving:
        sys.stdout.flush()
        os._exit(leaving.code or 0)
    except BaseException as error:  # a defect: its traceback is what the test shows
        sys.excepthook(type(error), error, error.__traceback__)
    os._exit(70)


def _serve(folder):
    import official_vision.training.run  # noqa: F401 -- imported before the forks, not in each of them

    for line in sys.stdin:
        name, settings = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(folder, name, settings)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
