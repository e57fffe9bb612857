"""Checkpoints that are damaged, unlisted or half-written, and a disk that is full."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.training.checkpoints.checkpoint_files import (
    flaw_in,
    forget_damaged,
    full_disk_named,
    newest_whole,
)
from official_vision.training.checkpoints.restore import find_checkpoint


@pytest.fixture(autouse=True)
def is_silent(caplog, monkeypatch):
    """A user's terminal gets our lines alone: no warning of TensorFlow about the calls made here."""
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    yield
    assert [
        record.getMessage() for record in caplog.get_records("call") if record.name == "tensorflow"
    ] == []


@pytest.fixture
def saved(tmp_path):
    """Three checkpoints of a variable with the step's number; 9 and 10 sort otherwise as text."""
    value = tf.Variable(tf.zeros([1000]))
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(value=value), tmp_path, 5)
    for step in (8, 9, 10):
        value.assign(tf.fill([1000], float(step)))
        manager.save(step)
    return tmp_path


def data_of(folder, step):
    return folder / f"ckpt-{step}.data-00000-of-00001"


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\x00 no text", b"model_checkpoint_path: 'gone-3'"]
)
def test_a_checkpoint_is_found_without_the_list_of_them(saved, content):
    if content is None:
        (saved / "checkpoint").unlink()
    else:
        (saved / "checkpoint").write_bytes(content)
    assert find_checkpoint(saved, "latest") == str(saved / "ckpt-10")


def test_the_newest_is_found_by_number(saved):
    lines = []
    assert newest_whole(saved, lines.append) == str(saved / "ckpt-10")
    assert lines == []
    assert newest_whole(saved / "nowhere") is None


@pytest.mark.parametrize("how", ["flipped", "cut", "gone", "index"])
def test_a_damaged_one_is_passed_over_and_named(saved, how):
    data = data_of(saved, 10)
    if how == "flipped":
        damage(data)
    elif how == "cut":
        data.write_bytes(data.read_bytes()[:100])
    elif how == "gone":
        data.unlink()
    else:
        (saved / "ckpt-10.index").write_bytes(b"")
    lines = []
    newest = newest_whole(saved, lines.append)
    assert newest == str(saved / "ckpt-9")
    (line,) = lines
    assert "ckpt-10 is damaged" in line
    assert line.endswith(f"going on from {newest}")
    forget_damaged(saved, newest)
    assert tf.train.latest_checkpoint(saved) == newest
    again = tf.train.CheckpointManager(tf.train.Checkpoint(value=tf.Variable([0.0])), saved, 5)
    assert again.checkpoints == [str(saved / "ckpt-8"), newest]


def test_none_that_is_whole_is_an_error_and_no_fresh_start(saved):
    for step in (8, 9, 10):
        damage(data_of(saved, step))
    with pytest.raises(UserError, match="ckpt-10 is damaged") as raised:
        newest_whole(saved)
    assert "\n" not in str(raised.value)


def test_a_lost_list_is_written_again_and_leftovers_go(saved):
    (saved / "checkpoint").unlink()
    (saved / "ckpt-12_temp").mkdir()
    newest = newest_whole(saved)
    forget_damaged(saved, newest)
    assert tf.train.latest_checkpoint(saved) == newest == str(saved / "ckpt-10")
    assert not (saved / "ckpt-12_temp").exists()
    assert flaw_in(newest) == ""


@contextlib.contextmanager
def small_disk(folder, size):
    """A file system of `size` bytes; where none may be mounted, a limit on the size of a file."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    is_mounted = (
        shutil.which("mount") and not subprocess.run(command, capture_output=True).returncode
    )
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if not is_mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 4, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_named_and_the_last_checkpoint_stays(tmp_path):
    small = tf.Variable(np.random.default_rng(0).random(1000, np.float32))
    large = tf.Variable(np.random.default_rng(1).random(1_000_000, np.float32))
    with small_disk(tmp_path, 1 << 20):
        tf.train.CheckpointManager(tf.train.Checkpoint(x=small), tmp_path, 5).save(1)
        broken = tf.train.CheckpointManager(tf.train.Checkpoint(x=large), tmp_path, 5)
        with pytest.raises(UserError) as raised, full_disk_named(tmp_path):
            broken.save(2)
        assert "\n" not in str(raised.value)
        assert f"the last whole checkpoint is {tmp_path}/ckpt-1" in str(raised.value)
        newest = newest_whole(tmp_path)
        forget_damaged(tmp_path, newest)
        reader = tf.train.load_checkpoint(newest)
        np.testing.assert_array_equal(reader.get_tensor("x/.ATTRIBUTES/VARIABLE_VALUE"), small)


def test_other_errors_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), full_disk_named(tmp_path):
        (tmp_path / "nothing").read_text()


@pytest.mark.parametrize("size", [0, 40])
def test_the_first_one_is_passed_over_where_a_kill_left_it_unfinished(tmp_path, size):
    value = tf.Variable(tf.zeros([1000]))
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(value=value), tmp_path, 5)
    index = tmp_path / "ckpt-5.index"
    manager.save(5)
    whole = index.read_bytes()
    (tmp_path / "checkpoint").unlink()
    index.write_bytes(whole[:size])
    assert newest_whole(tmp_path) is None
    # With its list, or with whole index and damaged data, it is one that was lost later.
    index.write_bytes(whole)
    assert newest_whole(tmp_path) == str(tmp_path / "ckpt-5")
    damage(data_of(tmp_path, 5))
    with pytest.raises(UserError, match="whole checkpoint"):
        newest_whole(tmp_path)
    manager.save(5)
    index.write_bytes(whole[:size])
    with pytest.raises(UserError, match="whole checkpoint"):
        newest_whole(tmp_path)
