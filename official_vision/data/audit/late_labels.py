"""Labels and spans that end after their video, which are reported because nothing shows them."""

from __future__ import annotations

from collections.abc import Sequence

from official_vision.data.annotations.manifest import VideoRow

# Annotators round, and a player's clock stops a moment after the last frame.
TOLERANCE_SEC = 0.1


def past_the_end(row: VideoRow, classes: Sequence[str], end_sec: float) -> list[str]:
    """Returns a line for the span and for each label of a row that ends after its video.

    Args:
      row: the video, with times in seconds from the start of its file.
      classes: names in the order of the label indices.
      end_sec: when the file's last frame ends.
    """
    latest = end_sec + TOLERANCE_SEC
    lines = []
    if max(row.start_sec or 0.0, row.end_sec or 0.0) > latest:
        lines.append(
            f"its part{_span(row.start_sec, row.end_sec)} ends after the video, {end_sec:.2f} s"
        )
    for label in row.labels:
        if max(label.start_sec or 0.0, label.end_sec or 0.0) > latest:
            name = classes[label.class_index]
            lines.append(
                f"{name!r}{_span(label.start_sec, label.end_sec)} ends after the video, {end_sec:.2f} s"
            )
    return lines


def _span(start: float | None, end: float | None) -> str:
    return (f" from {start:g} s" if start is not None else "") + (
        f" to {end:g} s" if end is not None else ""
    )
