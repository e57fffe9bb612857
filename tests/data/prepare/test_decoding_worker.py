"""A decoder that crashes or hangs costs its video and no other."""

import dataclasses
import functools
import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from official_vision.data.annotations.manifest import VideoRow
from official_vision.data.prepare import decoding_worker
from official_vision.data.prepare.decoding_worker import (
    DecodingFailedError,
    DecodingWorker,
    WorkerStoppedError,
)
from official_vision.data.storage.frame_encoding import encode_video
from official_vision.data.storage.frame_file import read_frames
from official_vision.processes import watched
from official_vision.specs import PrepareSpec
from tests.liveness import alive

ROW = VideoRow("id", "carphone_pristine.mp4", "train", (), 0.0, 0.2)


@pytest.fixture
def spec(footage):
    folder = str(footage["carphone_pristine"].parent)
    return PrepareSpec(videos=folder, short_side=32, objects="none", video_timeout_sec=60)


@pytest.fixture
def worker():
    worker = DecodingWorker()
    yield worker
    worker.close()


def encoded(worker, spec, folder):
    video = worker.encode(ROW, spec, folder)
    return {**video._asdict(), "frames": list(read_frames(video.frames))}


def expected(spec, folder):
    video = encode_video(ROW, spec, folder)
    return {**video._asdict(), "frames": list(read_frames(video.frames))}


def while_decoding(worker, action):
    """Runs `action` in a thread as soon as the worker's child lives."""

    def run():
        while worker.child.process is None:
            time.sleep(0.01)
        action()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_the_child_gives_what_the_function_gives(worker, spec, tmp_path):
    assert encoded(worker, spec, tmp_path) == expected(spec, tmp_path)
    child = worker.child.process.pid
    worker.encode(ROW, spec, tmp_path)
    assert worker.child.process.pid == child  # one child serves many videos


def test_a_broken_video_is_named_and_the_child_lives_on(worker, spec, tmp_path):
    worker.encode(ROW, spec, tmp_path)
    child = worker.child.process.pid
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DecodingFailedError, match=r"text\.mp4: not a readable video"):
        worker.encode(
            VideoRow("t", "text.mp4", "train", ()),
            dataclasses.replace(spec, videos=str(tmp_path)),
            tmp_path,
        )
    assert worker.child.process.pid == child


def test_a_crash_is_named_and_the_next_video_gets_a_new_child(worker, spec, tmp_path):
    thread = while_decoding(worker, lambda: os.kill(worker.child.process.pid, signal.SIGSEGV))
    message = r"carphone_pristine\.mp4: the decoder crashed \(exit status -11\)"
    with pytest.raises(DecodingFailedError, match=message):
        worker.encode(ROW, spec, tmp_path)
    thread.join()
    assert encoded(worker, spec, tmp_path) == expected(spec, tmp_path)


def test_a_hang_is_ended_and_named(worker, spec, tmp_path):
    thread = while_decoding(worker, lambda: os.kill(worker.child.process.pid, signal.SIGSTOP))
    began = time.monotonic()
    with pytest.raises(DecodingFailedError, match=r"carphone\S*: no further frame within 0\.5 s"):
        worker.encode(ROW, dataclasses.replace(spec, video_timeout_sec=0.5), tmp_path)
    assert time.monotonic() - began < 10
    thread.join()
    assert encoded(worker, spec, tmp_path) == expected(spec, tmp_path)


def test_a_child_that_gives_frames_tells_so_now_and_then(monkeypatch):
    """Were all of a video's time limited, long videos would be left out."""
    now = itertools.count(0.0, 0.15)
    monkeypatch.setattr(watched, "time", SimpleNamespace(monotonic=lambda: next(now)))
    sent = []

    def function(row, on_frame):
        assert row is ROW
        for _ in range(6):
            on_frame()
        return "value"

    call = functools.partial(decoding_worker.guarded, function)
    assert watched.reply_of(call, (ROW,), sent.append) == ("done", "value")
    assert set(sent) == {("at work", None)}
    assert 1 < len(sent) < 6


def test_an_error_of_a_broken_file_is_the_videos():
    def function(_, on_frame):
        del on_frame
        raise ZeroDivisionError("no rate")

    call = functools.partial(decoding_worker.guarded, function)
    kind, error = watched.reply_of(call, (ROW,), None)
    assert kind == "raised"
    assert isinstance(error, DecodingFailedError)
    assert str(error) == "carphone_pristine.mp4: ZeroDivisionError: no rate"


def test_a_full_disk_is_not_the_videos_fault(worker, spec, tmp_path):
    worker.encode(ROW, spec, tmp_path)
    resource.prlimit(worker.child.process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    with pytest.raises(OSError, match="File too large"):
        worker.encode(ROW, spec, tmp_path)


def test_frames_are_counted_in_the_child_too(worker, spec):
    for decode in (False, True):
        seen = worker.survey(ROW, spec, decode)
        assert seen.frames == 120  # of the whole file
        assert seen.end_sec == pytest.approx(120 * 1001 / 30000, abs=1e-3)


def test_closing_ends_the_child_and_a_call_in_another_thread(spec, tmp_path):
    worker = DecodingWorker()
    thread = while_decoding(worker, worker.close)
    with pytest.raises(WorkerStoppedError):
        worker.encode(ROW, spec, tmp_path)
    thread.join()
    process = worker.child.process
    assert process is None or process.returncode is not None
    worker.child.process = None
    with pytest.raises(WorkerStoppedError):
        worker.encode(ROW, spec, tmp_path)  # no new child is started


def test_the_child_ends_with_its_parent():
    """If the parent were killed, no process would be left to end the child."""
    script = (
        "import sys, os\n"
        "from official_vision.data.prepare.decoding_worker import DecodingWorker\n"
        "worker = DecodingWorker(); worker.child._start(); print(worker.child.process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == -9
    child = int(done.stdout)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and alive(child):
        time.sleep(0.1)
    assert not alive(child)


def test_children_do_not_load_tensorflow():
    """It would cost each of them seconds to start and some hundred megabytes."""
    script = (
        "import sys, official_vision.data.storage.frame_encoding, official_vision.data.prepare.decoding_worker\n"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
