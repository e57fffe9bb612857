"""A run's scores as the report that evaluation prints and writes."""

from __future__ import annotations

from collections.abc import Mapping

from official_vision.metrics.evaluation import Evaluation
from official_vision.metrics.evaluation_report import Report
from official_vision.metrics.localisation.result import Localisation
from official_vision.metrics.scores import ClipScores, VideoScores
from official_vision.training.clip_scoring import Trained


def report_of(
    trained: Trained,
    clips: ClipScores,
    scored: VideoScores,
    without: Mapping[str, Evaluation],
    localisation: Localisation | None = None,
) -> Report:
    """Returns the figures of videos' scores, with intervals as the run's EvaluationSpec sets them.

    Args:
      trained: the network.
      clips: the scores of the clips.
      scored: of the videos, pooled from them.
      without: evaluations with a stream blanked, by its name.
      localisation: when classes are there; None leaves it out.
    """
    spec = trained.config.evaluation
    return Report(
        f"{trained.checkpoint} (step {trained.step}; {clips.pooled_as(spec)})",
        {**clips.provenance, "pooling": spec.to_dict()},
        scored.evaluation(),
        scored.intervals(spec),
        without,
        localisation,
    )
