"""A process that decodes videos for preparation and may crash or hang without harm.

A broken file can kill a decoder (or make it loop) in ways that no exception handler sees. So each
video is decoded here, in a child that is killed and replaced when that happens. The child writes
frames to files and sends the parent only their paths, and signs of life while it works.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from official_vision import files
from official_vision.data.annotations.manifest import VideoRow
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec

if TYPE_CHECKING:
    from official_vision.data.audit.file_survey import Survey
    from official_vision.data.storage.frame_encoding import EncodedVideo

# The child's messages: a kind and a value. The first is sent while it works, then one of the others.
_STILL_AT_IT, _DONE, _FAILED, _DISK_FULL = "still at it", "done", "failed", "disk full"
_TELL_INTERVAL_SEC = 0.2
_Message = tuple[str, Any]


class DecodingFailedError(Exception):
    """The video can't be prepared; the text is the reason."""


class WorkerStoppedError(Exception):
    """The worker was closed on purpose while it decoded."""


class DecodingWorker:
    """A child process, started when first needed and replaced after a crash or a time-out."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._connection: Connection | None = None
        self._closed = False

    def encode(self, row: VideoRow, spec: PrepareSpec, folder: Path) -> EncodedVideo:
        """Calls frame_encoding.encode_video in the child.

        Raises:
          DecodingFailedError: the video is broken, crashed the child or gave no frame for too long.
          WorkerStoppedError: `close` was called meanwhile.
          OSError: the folder's disk is full.
        """
        return self._ask("encode_video", row, spec, folder)

    def survey(self, row: VideoRow, spec: PrepareSpec, decode: bool) -> Survey:
        """Calls file_survey.survey in the child; errors as of `encode`."""
        return self._ask("survey", row, spec, decode)

    def _ask(self, function: str, row: VideoRow, spec: PrepareSpec, *rest: Any) -> Any:
        if self._process is None:
            self._start()
        try:
            self._connection.send((function, (row, spec, *rest)))
            reply = (_STILL_AT_IT, None)
            while reply[0] == _STILL_AT_IT:
                if not self._connection.poll(spec.video_timeout_sec):
                    self._process.kill()
                    self._discard()
                    raise DecodingFailedError(
                        f"{row.path}: no further frame within {spec.video_timeout_sec:g} s."
                    )
                reply = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._died(row) from error
        kind, value = reply
        if kind == _FAILED:
            raise DecodingFailedError(value)
        if kind == _DISK_FULL:
            raise value
        return value

    def close(self) -> None:
        """Kills the child; a call of `encode` in another thread ends with WorkerStoppedError."""
        self._closed = True
        process = self._process  # another thread may discard it meanwhile
        if process is not None:
            process.kill()
            process.wait()

    def _start(self) -> None:
        if self._closed:
            raise WorkerStoppedError
        self._connection, theirs = Pipe()
        command = [
            sys.executable,
            "-m",
            "official_vision.data.prepare.decoding_worker",
            str(theirs.fileno()),
        ]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()

    def _died(self, row: VideoRow) -> Exception:
        if self._closed:
            return WorkerStoppedError()
        return DecodingFailedError(
            f"{row.path}: the decoder crashed (exit status {self._discard()})."
        )

    def _discard(self) -> int:
        """Ends the child; returns its exit status, even if it had died already."""
        process, self._process = self._process, None
        try:
            # A child that crashed closes its end of the pipe a moment before it can be waited for.
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            self._connection.close()


def main() -> None:
    """Serves a DecodingWorker until the parent is gone: receives (function, arguments), sends messages."""
    # Imported here: the parent, which imports this module too, needs neither decoder nor detectors.
    import cv2

    from official_vision.data.audit import file_survey as survey
    from official_vision.data.storage import frame_encoding

    functions = {"encode_video": frame_encoding.encode_video, "survey": survey.survey}
    cv2.setNumThreads(1)  # the workers share the cores among themselves
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    connection = Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            function, arguments = connection.recv()
            connection.send(_reply(functions[function], connection, *arguments))


def _reply(function: Callable, connection: Connection, row: VideoRow, *rest: Any) -> _Message:
    last_report = time.monotonic()

    def on_frame() -> None:
        nonlocal last_report
        if time.monotonic() > last_report + _TELL_INTERVAL_SEC:
            connection.send((_STILL_AT_IT, None))
            last_report = time.monotonic()

    try:
        return _DONE, function(row, *rest, on_frame=on_frame)
    except UserError as error:
        return _FAILED, str(error)
    except Exception as error:  # an error of a broken file concerns only that file
        if files.is_disk_full(error):
            return _DISK_FULL, error
        return _FAILED, f"{row.path}: {type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
