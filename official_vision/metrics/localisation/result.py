"""The figures of localisation, as text and as JSON values (numpy only)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from official_vision.metrics.figures import without_nan
from official_vision.metrics.localisation.points import Action, judge_points
from official_vision.metrics.localisation.precision import Precision

Truth = Sequence[tuple[str, float, Sequence[Action]]]


@dataclasses.dataclass(frozen=True)
class Localisation:
    """How well scores say when actions happen.

    Attributes:
      classes: names.
      points: of 25 points of each video, Charades' official figure; None where annotations state no lengths.
      frames: of every stored frame; None for a submission, which has points alone.
      videos: of the ground truth.
      missing: of those the videos without any score, which rank behind all others.
      settings: what the scores depend on besides the network, as JSON values.
    """

    classes: tuple[str, ...]
    points: Precision | None
    frames: Precision | None
    videos: int
    missing: int
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as JSON values; what is unknown as None."""
        measures = {"localisation": self.points, "frame": self.frames}
        known = {name: measure for name, measure in measures.items() if measure}
        figures = {}
        for name, measure in known.items():
            figures[f"{name}_mAP"] = measure.mean
            figures[f"{name}_weighted_mAP"] = measure.weighted_mean
        rows = [
            {
                "name": label,
                **{f"{name}_precision": float(m.classes[number]) for name, m in known.items()},
            }
            for number, label in enumerate(self.classes)
        ]
        return {
            **without_nan(figures),
            "videos": self.videos,
            "videos_without_scores": self.missing,
            **{f"{name}_rows": measure.rows for name, measure in known.items()},
            **self.settings,
            "classes": [without_nan(row) for row in rows],
        }

    def lines(self) -> list[str]:
        """Returns what the command prints."""
        lines = []
        if self.points:
            lines.append(f"localisation, 25 points per video   {_figures(self.points)}")
        if self.frames:
            lines.append(f"localisation, {self.frames.rows} frames   {_figures(self.frames)}")
        if self.missing:
            lines.append(
                f"{self.missing} of {self.videos} videos have no scores and rank behind all others"
            )
        return lines


def judge_submission(
    truth: Truth, scores: Mapping[str, Any], classes: Sequence[str]
) -> Localisation:
    """Computes the official figures of a submission.

    Args:
      truth: id, length and actions of every video, in the order of the ground truth's file.
      scores: [25, classes] by a video's id; videos that the truth lacks are left alone, as in the official script.
      classes: names of the columns.
    """
    missing = sum(video not in scores for video, _, _ in truth)
    points = judge_points(truth, scores, len(classes))
    return Localisation(tuple(classes), points, None, len(truth), missing)


def _figures(measure: Precision) -> str:
    return f"mAP {measure.mean:.4f}   weighted mAP {measure.weighted_mean:.4f}"
