"""The commands of tools/ as a user starts them, apart from their imports, which one process has done for all of them.

A command is a fork of that process (tests/command_server.py): a process by itself with the arguments, folder,
environment and outputs that it would have, 6 seconds sooner. `fresh` starts one from nothing; each command has a test
that does.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
# A user has not set what tests/conftest.py sets for tests.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
LIMIT_SEC = 400


class Command:
    """A running command, with subprocess.Popen's methods; its outputs are read once it has ended.

    Attributes:
      pid: of its process.
      returncode: exit status, negative for a signal; None while it runs.
    """

    def __init__(self, program, flags, cwd, env, server):
        self._folder = Path(tempfile.mkdtemp(dir=server.folder))
        self.returncode = None
        self.args = [str(program), *map(str, flags)]
        self.pid = server.fork(
            {
                "arguments": self.args,
                "cwd": str(cwd),
                "environment": env,
                **{name: str(self._folder / name) for name in ("stdout", "stderr", "status")},
            }
        )

    def poll(self):
        path = self._folder / "status"
        if self.returncode is None and path.exists():
            self.returncode = int(path.read_text())
        return self.returncode

    def wait(self, timeout=LIMIT_SEC):
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.kill()
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.02)
        return self.returncode

    def communicate(self, timeout=LIMIT_SEC):
        """Waits; returns standard output and standard error."""
        self.wait(timeout)
        return self.printed("stdout"), self.printed("stderr")

    def printed(self, name):
        """Returns its output so far on "stdout" or "stderr"."""
        path = self._folder / name
        return path.read_text() if path.exists() else ""

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Server:
    """A process that has done a command's imports, and forks for each.

    Attributes:
      folder: of what commands print; it goes with the server.
    """

    def __init__(self, packages=REPOSITORY):
        """
        Args:
          packages: the folder from which official_vision is imported.
        """
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = self._temporary.name
        # Beside a copy of the program there is no other official_vision than that of `packages`.
        program = shutil.copy(REPOSITORY / "tests" / "command_server.py", self.folder)
        self._process = subprocess.Popen(
            [sys.executable, program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self.folder,
            env={**ENVIRONMENT, "PYTHONPATH": str(packages)},
            text=True,
        )
        atexit.register(self.close)

    def fork(self, command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._temporary.cleanup()


@functools.cache
def _server():
    return Server()


def start(tool, *flags, cwd=REPOSITORY, env=None):
    """Starts a command of tools/."""
    program = REPOSITORY / "tools" / f"{tool}.py"
    return Command(program, flags, cwd, ENVIRONMENT if env is None else env, _server())


def run(tool, *flags, cwd=REPOSITORY, env=None, fresh=False):
    """Runs a command to its end; returns subprocess.CompletedProcess. A traceback fails the test."""
    if fresh:
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / "tools" / f"{tool}.py"), *map(str, flags)],
            cwd=cwd,
            env=ENVIRONMENT if env is None else env,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SEC,
        )
    else:
        process = start(tool, *flags, cwd=cwd, env=env)
        outputs = process.communicate()
        done = subprocess.CompletedProcess(process.args, process.returncode, *outputs)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def command(tool, *flags, **settings):
    """As `run`; returns exit status, standard output and standard error."""
    done = run(tool, *flags, **settings)
    return done.returncode, done.stdout, done.stderr


def refusal(tool, *flags, **settings):
    """Returns the one line that a command ends with, with status 1, when it is misused."""
    done = run(tool, *flags, **settings)
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.strip().splitlines()
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
