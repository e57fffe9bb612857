"""A process that decodes videos for preparation and may crash or hang without harm.

A broken file can kill a decoder (or make it loop) in ways that no exception handler sees. So each
video is decoded here, in a child that is killed and replaced when that happens.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from official_vision.data.manifest import VideoRow
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec


class DecodingFailedError(Exception):
    """The video can't be prepared; the text says why."""


class WorkerStoppedError(Exception):
    """The worker was closed on purpose while it decoded."""


class DecodingWorker:
    """A child process, started when first needed and replaced after a crash or a time-out."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._connection: Connection | None = None
        self._closed = False

    def encode(self, row: VideoRow, spec: PrepareSpec) -> tuple[float, dict[str, list[bytes]]]:
        """frame_encoding.encode_video in the child.

        Raises:
          DecodingFailedError: the video is broken, crashed the child or took too long.
          WorkerStoppedError: `close` was called meanwhile.
        """
        if self._process is None:
            self._start()
        try:
            self._connection.send((row, spec))
            if not self._connection.poll(spec.video_timeout_sec):
                self._process.kill()
                self._discard()
                raise DecodingFailedError(
                    f"{row.path}: decoding took more than {spec.video_timeout_sec:g} s."
                )
            succeeded, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._died(row) from error
        if not succeeded:
            raise DecodingFailedError(value)
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
            "official_vision.data.decoding_worker",
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
        """Ends the child; returns its exit status, which is its own where it had died already."""
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
    """Serves a DecodingWorker: receives (row, spec), sends (succeeded, value), until the parent is gone."""
    # Imported here: the parent, which imports this module too, needs neither decoder nor detectors.
    import cv2

    from official_vision.data.frame_encoding import encode_video

    cv2.setNumThreads(1)  # the workers share the cores among themselves
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    connection = Connection(int(sys.argv[1]))
    while True:
        try:
            row, spec = connection.recv()
        except EOFError:
            return
        try:
            reply = True, encode_video(row, spec)
        except UserError as error:
            reply = False, str(error)
        except Exception as error:  # whatever a broken file provokes concerns it alone
            reply = False, f"{row.path}: {type(error).__name__}: {error}"
        connection.send(reply)


if __name__ == "__main__":
    main()
