"""Failures of one video, which do not end the work on others."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from official_vision import files
from official_vision.data.video import VideoError
from official_vision.errors import UserError
from official_vision.names import shown


@contextlib.contextmanager
def failure_named(video: str, folder: str | os.PathLike) -> Iterator[None]:
    """Turns whatever fails in the block into an error of this video, in one line.

    Args:
      video: its path.
      folder: of the outputs, for a full disk.

    Raises:
      VideoError: this video could not be worked on, for any reason.
      UserError: the disk is full: no other video would fare better.
    """
    with files.full_disk_reported("--output_dir", folder):
        try:
            yield
        except VideoError:
            raise
        except Exception as error:
            if files.full_disk_reason(error):
                raise
            what = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            reason = (str(error).strip().splitlines() or ["no reason was named"])[0]
            raise VideoError(f"{shown(video)}: {what}{reason}") from error
