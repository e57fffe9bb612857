"""Live video: the results of the file that arrives, bounded memory and delay, and what a slow machine leaves out."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from official_vision.data.video import Frame, VideoError
from official_vision.data.video.live import live_address
from official_vision.errors import UserError
from official_vision.serving.export.description import description_of_run
from official_vision.serving.export.exported_model import ExportedModel
from official_vision.serving.live import live_stream
from official_vision.serving.live.frame_queue import FrameQueue
from official_vision.serving.live.live_stream import LiveStream
from official_vision.serving.live.options import LiveCounts, LiveOptions
from official_vision.serving.live.reading import Reading
from official_vision.serving.predict import predictor as predict
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.predictor import Predictor
from official_vision.specs import DataSpec, PrepareSpec
from tests.data.video import odd

WINDOW, FRAMES = 4, 30
QUICK = {"first_pause_sec": 0.01, "longest_pause_sec": 0.04}


class Brightness:
    """A file that scores a window by its last frame's mean; it keeps each window's frames."""

    def __init__(self):
        self.wait = lambda: None  # before a window is scored
        self.windows = []

    def __call__(self, streams):
        self.wait()
        rgb = np.asarray(streams["rgb"])
        self.windows.append(rgb[0, :, 0, 0, 0].astype(int))
        by_frame = rgb.mean((2, 3, 4), np.float32)[..., np.newaxis] / 255
        return {"scores": by_frame[:, -1], "frame_scores": by_frame}


@pytest.fixture
def brightness():
    return Brightness()


@pytest.fixture
def predictor(brightness, monkeypatch):
    """Makes predictors of it, with options."""
    preparation = PrepareSpec(short_side=16, flow="none", objects="none").to_dict()
    clip = DataSpec(frames=WINDOW, size=16)
    described = description_of_run(("bright",), ("rgb",), preparation, clip)
    model = ExportedModel(Path("x"), described, (), brightness, None)
    monkeypatch.setattr(predict, "load_exported_model", lambda _: model)
    return lambda **options: Predictor("x", PredictOptions(batch_size=1, **options))


@pytest.fixture(scope="module")
def broadcast(tmp_path_factory):
    """A transport stream, whose frames are brighter and brighter."""
    path = tmp_path_factory.mktemp("broadcast") / "a.ts"
    return odd.write(path, odd.greys(FRAMES), bf="0")


def numbered(count, step_sec=0.04):
    """Frames whose pixels are their number."""
    for number in range(count):
        yield number * step_sec, np.full((16, 16, 3), number % 256, np.uint8)


def noting(frames, count, arrived):
    """Sets an event when so many frames have been taken."""
    yield from itertools.islice(frames, count)
    arrived.set()
    yield from frames


@contextlib.contextmanager
def sent(kind, content, folder):
    """Sends a file's content to the process that opens the address that is yielded."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as waiting:
        waiting.bind(("127.0.0.1", 0))
        waiting.listen()
        port, pipe = waiting.getsockname()[1], folder / "pipe"
        os.mkfifo(pipe)
        os.mkfifo(folder / "input")
        address, send = {
            "pipe": (str(pipe), lambda: pipe.write_bytes(content)),
            "-": ("-", lambda: Path(folder / "input").write_bytes(content)),
            "tcp": (f"tcp://127.0.0.1:{port}", lambda: over_tcp(waiting, content)),
            "http": (f"http://127.0.0.1:{port}/a.ts", lambda: over_http(waiting, content)),
            "udp": (f"udp://127.0.0.1:{port}", lambda: over_udp(port, content)),
        }[kind]
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        with standard_input_from(folder / "input") if kind == "-" else contextlib.nullcontext():
            yield address
        thread.join(10)
        assert not thread.is_alive()


@contextlib.contextmanager
def standard_input_from(pipe):
    """Has this process read its standard input from a named pipe, once something writes to it."""
    before = os.dup(0)
    with open(pipe, "rb") as file:
        os.dup2(file.fileno(), 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def over_http(waiting, content):
    """Replies to one request in a chunk, as servers do that don't know a stream's length."""
    connection, _ = waiting.accept()
    with connection:
        assert connection.recv(4096).startswith(b"GET /a.ts ")
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content))


def over_tcp(waiting, content):
    connection, _ = waiting.accept()
    with connection:
        connection.sendall(content)


def over_udp(port, content):
    """Datagrams of seven packets, once somebody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    break
            time.sleep(0.01)
        for first in range(0, len(content), 7 * 188):
            out.sendto(content[first : first + 7 * 188], ("127.0.0.1", port))
            time.sleep(0.001)


@pytest.mark.parametrize("kind", ["pipe", "-", "tcp", "http", "udp"])
def test_a_broadcast_is_scored_as_its_file(predictor, broadcast, tmp_path, kind):
    options = {"timeout_sec": 0.5 if kind == "udp" else 10, "patience_sec": 0.5, **QUICK}
    of_file = list(LiveStream(predictor(stride=2), broadcast))
    with sent(kind, broadcast.read_bytes(), tmp_path) as address:
        stream = LiveStream(predictor(stride=2), address, LiveOptions(real_time=False, **options))
        results = list(stream)
    # Of a broadcast that falls silent, the last frame is not known to be whole.
    lacking = 1 if kind == "udp" else 0
    assert len(of_file) - len(results) <= lacking
    assert stream.counts.frames >= FRAMES - lacking
    for result, expected in zip(results[: len(of_file) - lacking], of_file, strict=False):
        np.testing.assert_array_equal(result.scores, expected.scores)
        assert (result.start_sec, result.end_sec) == (expected.start_sec, expected.end_sec)
    assert bool(stream.counts.lost) == (kind == "udp")


@pytest.mark.parametrize("stride", [1, 3, WINDOW])
def test_the_windows_are_those_of_prediction(predictor, broadcast, stride):
    results = list(LiveStream(predictor(stride=stride), broadcast))
    whole = predictor(stride=stride).predict(broadcast)
    scores = np.mean([result.scores for result in results], axis=0)
    np.testing.assert_allclose(scores, whole.scores, atol=1e-6)
    assert results[-1].end_sec == pytest.approx(whole.times_sec[-1], abs=1e-3)
    assert results[1].start_sec == pytest.approx(stride / 25, abs=1e-3)


def test_a_video_shorter_than_a_window_is_scored(predictor, brightness):
    (result,) = LiveStream(predictor(), numbered(3))
    assert result.start_sec == 0.0
    assert set(brightness.windows[0]) == {0, 1, 2}


def test_a_slow_machine_skips_windows_and_drops_stretches(predictor, brightness):
    """No window has a hole; what was left out is counted. The first window takes as long as 150 frames."""
    scoring, arrived = threading.Event(), threading.Event()
    brightness.wait = lambda: scoring.set() or arrived.wait(30)

    def sending():
        frames = numbered(200)
        yield from itertools.islice(frames, 2 * WINDOW)
        scoring.wait(30)
        yield from noting(itertools.islice(frames, 160), 150, arrived)
        for frame in frames:  # no faster than they are taken
            while stream._queue.waiting:
                time.sleep(0.001)
            yield frame

    frames = sending()
    stream = LiveStream(predictor(stride=1), frames, LiveOptions(real_time=True, held_windows=3))
    results = list(stream)
    counts = stream.counts
    assert counts.frames == 200
    assert counts.dropped > 100
    assert 2 <= len(results) < 100
    assert len(results) == counts.windows == len(brightness.windows)
    for window in brightness.windows:
        np.testing.assert_array_equal(np.diff(window), np.ones(WINDOW - 1))
    starts = [result.start_sec for result in results]
    np.testing.assert_allclose(
        starts, [window[0] * 0.04 for window in brightness.windows], atol=1e-6
    )
    assert np.all(np.diff(starts) > 0)
    assert f"{counts.dropped} frames dropped" in counts.to_text()


def test_windows_are_skipped_while_newer_frames_wait(predictor, brightness):
    """A burst of less than the queue takes: no frame is dropped."""
    arrived = threading.Event()
    brightness.wait = lambda: arrived.wait(30)
    frames = noting(numbered(60), 60, arrived)
    options = LiveOptions(real_time=True, held_windows=100)
    stream = LiveStream(predictor(stride=2), frames, options)
    results = list(stream)
    assert (stream.counts.dropped, stream.counts.frames) == (0, 60)
    assert stream.counts.skipped > 10
    assert len(results) + stream.counts.skipped == 29
    assert brightness.windows[-1][-1] == 59


def test_who_waits_loses_nothing(predictor, brightness):
    brightness.wait = lambda: time.sleep(0.002)
    stream = LiveStream(predictor(stride=2), numbered(60))
    assert len(list(stream)) == 29
    assert (stream.counts.dropped, stream.counts.skipped) == (0, 0)


class Connections:
    """Stands for an address: the frames of one connection after the other, or the reason why there is none."""

    def __init__(self, *connections):
        self.left = list(connections)
        self.tried = []

    def __call__(self, report):
        del report
        self.tried.append(time.monotonic())
        frames = self.left.pop(0) if self.left else "gone"
        if isinstance(frames, str):
            raise VideoError(frames)
        for number in range(frames):
            yield Frame(np.full((16, 16, 3), number, np.uint8), number * 0.04, number)


def test_a_lost_connection_is_tried_again(predictor, brightness, monkeypatch):
    connections = Connections(6, "refused", 5, "down", "down")
    monkeypatch.setattr(
        live_stream.LiveStream, "_connection", lambda *_: (connections, False, True)
    )
    options = LiveOptions(real_time=False, patience_sec=1.5, **QUICK)
    stream = LiveStream(predictor(stride=2), "x", options)
    results = list(stream)
    windows = [list(window) for window in brightness.windows]
    assert windows == [[0, 1, 2, 3], [2, 3, 4, 5], [0, 1, 2, 3], [1, 2, 3, 4]]
    assert stream.counts.lost == len(connections.tried)
    assert stream.counts.reason == "gone"
    # The second connection's times go on by the clock, behind the first one's.
    assert results[2].start_sec > 0.01
    pauses = np.diff(connections.tried)
    assert pauses[0] >= 0.01
    assert pauses[1] >= 0.02
    assert connections.tried[-1] - connections.tried[0] < 5


def test_an_address_without_frames_is_an_error():
    counts = LiveCounts()
    queue = FrameQueue(4, False, counts)
    options = LiveOptions(patience_sec=0.05, **QUICK)
    Reading(Connections(), queue, counts, options, endless=True)
    with pytest.raises(VideoError, match="gone"):
        list(queue.stretches())


def test_who_has_seen_enough_ends_the_reading(predictor):
    before = threading.active_count()
    stream = iter(LiveStream(predictor(), numbered(10_000)))
    next(stream)
    stream.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_is_flat_over_ten_thousand_frames(predictor):
    used = []
    stream = LiveStream(predictor(window=40, stride=40), numbered(10_000))
    for number, _ in enumerate(stream):
        if number % 25 == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            used.append(pages * os.sysconf("SC_PAGE_SIZE"))
    assert number == 249
    print(f"resident bytes every 1 000 frames: {used}")
    assert max(used[1:]) - used[1] < 4 << 20


@pytest.mark.parametrize(
    ("name", "url", "waits", "endless"),
    [
        ("-", "pipe:0", True, False),
        ("0", "/dev/video0", False, True),
        ("rtsp://camera/1", "rtsp://camera/1", False, True),
        ("UDP://239.0.0.1:5000", "UDP://239.0.0.1:5000", False, True),
        ("http://a/b.m3u8", "http://a/b.m3u8", True, False),
    ],
)
def test_addresses_are_told_from_files(name, url, waits, endless, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    address = live_address(name)
    assert (address.url, address.waits, address.endless) == (url, waits, endless)
    for other in ("a.mp4", "rtsp.mp4", "12:30:05.mp4", str(tmp_path), "file:///a.mp4", "udp://"):
        assert live_address(other) is None
    Path("0").touch()
    assert live_address("0") is None


def test_mistakes_are_named(predictor, tmp_path):
    with pytest.raises(UserError, match=re.escape("patience_sec must be above 0. Received: 0")):
        LiveOptions(patience_sec=0)
    with pytest.raises(VideoError, match="there is no such video file"):
        list(LiveStream(predictor(), tmp_path / "missing.mp4"))
    frames = [(0.0, np.zeros((4, 4), np.uint8))]
    with pytest.raises(VideoError, match="a frame must be uint8"):
        list(LiveStream(predictor(), frames))
