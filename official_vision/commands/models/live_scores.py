"""Prints the scores of a live video while it arrives: predict --video=ADDRESS."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from typing import TextIO

import numpy as np

from official_vision import formats
from official_vision.errors import UserError
from official_vision.names import shown
from official_vision.serving.live.options import LiveOptions
from official_vision.serving.predict.options import PredictOptions

_SHOWN_CLASSES = 3


def is_live(names: Sequence[str], *, annotate: bool) -> bool:
    """Returns whether a live video is named.

    Args:
      names: of videos.
      annotate: whether annotated videos are wanted.

    Raises:
      UserError: it is named with other videos, or is to be annotated.
    """
    from official_vision.data.video.live import live_address

    if not any(live_address(name) for name in names):
        return False
    if len(names) > 1 or annotate:
        raise UserError(
            "A live video is the only one of its command, and has no annotated file. "
            f"Received: {', '.join(map(shown, names))}{' with --annotate' if annotate else ''}. Name it alone."
        )
    return True


def follow(
    model: str, options: PredictOptions, name: str, live: LiveOptions, json_path: str | None
) -> int:
    """Prints each window's result as it is known, until the video ends.

    Args:
      model: path of the exported file.
      options: of windows.
      name: of the video.
      live: what happens where the machine is too slow or the connection is lost.
      json_path: of a file of JSON lines: a header, then one for each window; None for none.

    Raises:
      VideoError: no frame can be read.
    """
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.serving.live.live_stream import LiveStream
    from official_vision.serving.predict.predictor import Predictor

    predictor = Predictor(model, options)
    labels, stream = predictor.description.labels, LiveStream(predictor, name, live)
    with _opened(json_path) as lines:
        _write(lines, {**formats.LIVE_SCORES.header, "video": name, "labels": list(labels)})
        reported = ""
        for result in stream:
            order = np.argsort(-result.scores, kind="stable")[:_SHOWN_CLASSES]
            best = ", ".join(f"{labels[i]} {result.scores[i]:.3f}" for i in order)
            times = f"{result.start_sec:.1f}-{result.end_sec:.1f} s"
            print(f"{times}  {best}  ({result.delay_sec:.2f} s after its last frame)", flush=True)
            counts = stream.counts
            _write(
                lines,
                {
                    "start_sec": round(result.start_sec, 6),
                    "end_sec": round(result.end_sec, 6),
                    "delay_sec": round(result.delay_sec, 3),
                    "scores": [float(score) for score in result.scores],
                    "skipped_windows": counts.skipped,
                    "dropped_frames": counts.dropped,
                    "lost_connections": counts.lost,
                },
            )
            if counts.reason != reported:
                reported = counts.reason
                print(f"note: the connection was lost ({shown(reported)})", file=sys.stderr)
    print(f"{shown(name)}: {stream.counts.to_text()}")
    return 0


@contextlib.contextmanager
def _opened(path: str | None):  # noqa: ANN202 - a context manager of a file or of nothing
    if path is None:
        yield None
        return
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        yield file


def _write(lines: TextIO | None, values: dict) -> None:
    if lines is not None:
        lines.write(json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")
        lines.flush()  # a reader that follows the file gets the result at once
