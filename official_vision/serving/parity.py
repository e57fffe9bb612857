"""How near an exported file's answers are to the network's, on held-out clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from official_vision.errors import UserError
from official_vision.metrics.evaluation import evaluate_scores
from official_vision.serving.held_out import HeldOutClips

# Clips -> (scores and frame_scores, seconds a clip).
Answers = Callable[[HeldOutClips], tuple[Mapping[str, np.ndarray], float]]


@dataclasses.dataclass(frozen=True)
class Parity:
    """One exported file beside the network it was made of.

    Attributes:
      difference: greatest of any score or frame score.
      top_1_agreement: share of clips whose best class is the same.
      map_difference: mean average precision of the file less the network's; None where no clip of the
        sample has a label.
      clips: of the sample.
      size_bytes: of the file or folder.
      seconds_a_clip: median, one clip at a time, on this machine.
    """

    difference: float
    top_1_agreement: float
    map_difference: float | None
    clips: int
    size_bytes: int
    seconds_a_clip: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as JSON values."""
        return dataclasses.asdict(self)

    def to_text(self) -> str:
        """Returns one line for people."""
        change = "" if self.map_difference is None else f", mAP {self.map_difference:+.4f}"
        return (
            f"scores within {self.difference:.1e}, best class the same in {self.top_1_agreement:.0%} of "
            f"{self.clips} clips{change}, {self.size_bytes / 1e6:.1f} MB, "
            f"{1e3 * self.seconds_a_clip:.0f} ms a clip"
        )


def compare(
    expected: Mapping[str, np.ndarray],
    found: Mapping[str, np.ndarray],
    clips: HeldOutClips,
    *,
    size_bytes: int,
    seconds_a_clip: float,
) -> Parity:
    """Compares two answers to the same clips: scores [clips, classes], frame_scores [clips, time, classes]."""
    differences = [np.abs(found[name] - expected[name]).max() for name in expected]
    same = expected["scores"].argmax(axis=-1) == found["scores"].argmax(axis=-1)
    return Parity(
        float(np.max(differences)),  # NaN, where there is one, unlike Python's max
        float(same.mean()),
        _map_difference(expected["scores"], found["scores"], clips.labels),
        len(clips),
        size_bytes,
        seconds_a_clip,
    )


def check(
    parity: Parity,
    limit: float,
    name: str,
    expected_of: Callable[[HeldOutClips], Mapping[str, np.ndarray]],
    answers: Answers,
    clips: HeldOutClips,
) -> None:
    """Refuses a file that answers too differently, and says which stream is to blame.

    Raises:
      UserError: a score differs by more than `limit`, or is no number.
    """
    if parity.difference <= limit:
        return
    blame = ""
    if len(clips.streams) > 1:
        left = {}
        for stream in clips.streams:
            blanked = clips.without(stream)
            expected, (found, _) = expected_of(blanked), answers(blanked)
            left[stream] = max(float(np.abs(found[k] - expected[k]).max()) for k in expected)
        worst = min(left, key=left.get)
        blame = (
            f" Without the stream {worst} the difference would be {left[worst]:.1e}, "
            f"without any other at least {sorted(left.values())[1]:.1e}."
        )
    raise UserError(
        f"An exported file must answer as the model does: {name} within {limit:g}. "
        f"Received: a difference of {parity.difference:g}.{blame} Nothing was exported; "
        "--limit allows more, --precision or --tflite choose another format."
    )


def _map_difference(expected: np.ndarray, found: np.ndarray, labels: np.ndarray) -> float | None:
    if not (np.isfinite(found).all() and (labels > 0).any()):
        return None
    names = [str(number) for number in range(labels.shape[1])]
    before, after = (
        evaluate_scores(scores, labels, names).figures["mAP"] for scores in (expected, found)
    )
    return after - before
