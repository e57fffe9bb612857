"""Settings of windows, and of scores over time and segments (no TensorFlow)."""

from __future__ import annotations

import dataclasses
from typing import Any

from official_vision.errors import UserError
from official_vision.metrics.localisation.windows import MERGES

POOLINGS = ("mean", "max")


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """Settings of a prediction.

    Attributes:
      stride: frames of the video from one window to the next; None takes half a window.
      window: frames that the network is shown at a time; None takes those of evaluation.
      pooling: of the windows' clip scores to the video's, one of POOLINGS.
      batch_size: windows at a time.
      merge: windows: a window's clip score counts for all of its frames, which a still video leaves flat;
        frames: each frame's score, finer in time, but it depends on the frame's place in its window
        unless `stride` is 1. Either way a window counts most at its centre.
      smoothing_sec: width of a moving average over the scores, in seconds; 0 for none.
      threshold: score that a segment reaches, in [0, 1].
      hysteresis: a segment goes on while its score is at most this much below the threshold.
      shortest_sec: shorter segments are left out, unless they last the whole video.
      broken_packet_share: share of a video's packets that may be undecodable; they are passed over.
      score_points: most points in time whose scores are written, spread evenly; 0 for every frame.
    """

    stride: int | None = None
    window: int | None = None
    pooling: str = "mean"
    batch_size: int = 4
    merge: str = "windows"
    smoothing_sec: float = 0.5
    threshold: float = 0.5
    hysteresis: float = 0.1
    shortest_sec: float = 0.5
    broken_packet_share: float = 0.0
    score_points: int = 5000

    def __post_init__(self) -> None:
        """Raises UserError for a setting that is none of the above."""
        _check_choice("Windows are pooled", self.pooling, POOLINGS)
        _check_choice("Windows are merged", self.merge, MERGES)
        for name in (
            "smoothing_sec",
            "hysteresis",
            "shortest_sec",
            "broken_packet_share",
            "score_points",
        ):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise UserError(f"{name} must be 0 or more. Received: {value}. Raise it to 0.")

    def to_dict(self) -> dict[str, Any]:
        """Returns all settings on which the results depend, as JSON values."""
        settings = dataclasses.asdict(self)
        del settings["batch_size"]
        return settings


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{what} by one of {', '.join(choices)}. Received: {value!r}.")
