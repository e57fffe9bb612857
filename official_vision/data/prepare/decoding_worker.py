"""A process that decodes videos for preparation and may crash or hang without harm.

A broken file can kill a decoder (or make it loop) in ways that no exception handler sees. So each
video is decoded here, in a child that is killed and replaced when that happens. The child writes
frames to files and sends the parent only their paths, and signs of life while it works.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from official_vision import files
from official_vision.data.annotations.manifest import VideoRow
from official_vision.errors import UserError
from official_vision.processes.watched import (
    ClosedError,
    CrashedError,
    SilentError,
    WatchedChild,
    serve,
)
from official_vision.specs import PrepareSpec

if TYPE_CHECKING:
    from official_vision.data.audit.file_survey import Survey
    from official_vision.data.storage.frame_encoding import EncodedVideo

_MODULE = "official_vision.data.prepare.decoding_worker"


class DecodingFailedError(Exception):
    """The video can't be prepared; the text is the reason."""


class WorkerStoppedError(Exception):
    """The worker was closed on purpose while it decoded."""


class DecodingWorker:
    """A child process, started when first needed and replaced after a crash or a time-out."""

    def __init__(self) -> None:
        self.child = WatchedChild(_MODULE)

    def encode(self, row: VideoRow, spec: PrepareSpec, folder: Path) -> EncodedVideo:
        """Calls frame_encoding.encode_video in the child.

        Raises:
          DecodingFailedError: the video is broken, crashed the child or gave no frame for too long.
          WorkerStoppedError: `close` was called meanwhile.
          OSError: the folder's disk is full.
        """
        return self._call("encode_video", row, spec, folder)

    def survey(self, row: VideoRow, spec: PrepareSpec, decode: bool) -> Survey:
        """Calls file_survey.survey in the child; errors as of `encode`."""
        return self._call("survey", row, spec, decode)

    def network_sha256(self, spec: PrepareSpec) -> str:
        """Calls checked_network.network_sha256 in the child.

        Raises:
          UserError: the network is none, doesn't run, ended the child or gave no sign of life for too long.
        """
        reason = f"no sign of life within {spec.video_timeout_sec:g} s"
        try:
            return self.child.call("network_sha256", (spec,), spec.video_timeout_sec)
        except SilentError:
            pass
        except CrashedError as error:
            reason = f"it ended its process with exit status {error.status}"
        raise UserError(
            f"A network of object ids must run. Received: {spec.objects} ({reason}). Export it again."
        )

    def close(self) -> None:
        """Kills the child; a call of `encode` in another thread ends with WorkerStoppedError."""
        self.child.close()

    def _call(self, function: str, row: VideoRow, spec: PrepareSpec, *rest: Any) -> Any:
        try:
            return self.child.call(function, (row, spec, *rest), spec.video_timeout_sec)
        except SilentError as error:
            raise DecodingFailedError(
                f"{row.path}: no further frame within {spec.video_timeout_sec:g} s."
            ) from error
        except CrashedError as error:
            raise DecodingFailedError(
                f"{row.path}: the decoder crashed (exit status {error.status})."
            ) from error
        except ClosedError as error:
            raise WorkerStoppedError from error


def guarded(function: Callable[..., Any], row: VideoRow, *rest: Any, on_step: Callable) -> Any:
    """Calls a function on a video within the child.

    Args:
      function: takes `row`, `rest` and on_frame.
      row: the video.
      *rest: of the function's arguments.
      on_step: is called for each frame.

    Raises:
      DecodingFailedError: whatever a broken file provokes concerns it alone.
      OSError: the disk is full.
    """
    try:
        return function(row, *rest, on_frame=on_step)
    except UserError as error:
        raise DecodingFailedError(str(error)) from error
    except Exception as error:
        if files.is_disk_full(error):
            raise
        raise DecodingFailedError(f"{row.path}: {type(error).__name__}: {error}") from error


def main() -> None:
    """Serves a DecodingWorker until the parent is gone."""
    # Imported here: the parent, which imports this module too, needs neither decoder nor detectors.
    import functools

    import cv2

    from official_vision.data.audit import file_survey as survey
    from official_vision.data.objects.checked_network import network_sha256
    from official_vision.data.prepare import decoding_worker
    from official_vision.data.storage import frame_encoding

    cv2.setNumThreads(1)  # the workers share the cores among themselves
    # Not of this program, whose errors the parent could not unpickle: of the module as the parent imports it.
    call = decoding_worker.guarded
    serve(
        {
            "encode_video": functools.partial(call, frame_encoding.encode_video),
            "network_sha256": network_sha256,
            "survey": functools.partial(call, survey.survey),
        }
    )


if __name__ == "__main__":
    main()
