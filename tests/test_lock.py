"""One process at a time in a folder, and the next one as soon as the holder is gone."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from official_vision.errors import UserError
from official_vision.lock import LOCK_FILE, folder_locked

REPOSITORY = Path(__file__).resolve().parents[1]


def lock(folder):
    return folder_locked(folder, "TrainSpec.model_dir", "training")


def test_the_second_is_refused_and_the_first_one_named(tmp_path):
    with lock(tmp_path / "run"):
        with pytest.raises(UserError) as raised, lock(tmp_path / "run"):
            pass
        assert f"in use by process {os.getpid()} on " in str(raised.value)
        assert "\n" not in str(raised.value)
        with lock(tmp_path / "other"):
            pass
    assert list((tmp_path / "run").iterdir()) == []
    with lock(tmp_path / "run"):
        pass


def test_a_lock_that_was_removed_while_it_was_waited_for_is_none(tmp_path, monkeypatch):
    """The holder removes its file and leaves between another's opening and locking of it."""
    removed = []

    def flock(file, how, flock=fcntl.flock):
        if not removed:
            removed.append(os.fstat(file.fileno()).st_ino)
            (tmp_path / LOCK_FILE).unlink()
            (tmp_path / LOCK_FILE).touch()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK_FILE).read_text()
        assert (tmp_path / LOCK_FILE).stat().st_ino != removed[0]


def test_a_killed_holder_leaves_the_folder_free(tmp_path):
    command = [sys.executable, "-m", "tests.lock_holder", str(tmp_path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=f"process {holder.pid} on"), lock(tmp_path):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with lock(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    refused = pytest.raises(UserError, match=r"^TrainSpec.model_dir must be a folder")
    with refused as raised, lock(tmp_path / "file" / "run"):
        pass
    assert "\n" not in str(raised.value)
