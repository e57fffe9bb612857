"""The scores of an evaluation, before figures: the logits of clips, the scores of videos (numpy only)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from official_vision.metrics.bootstrap import Intervals, bootstrap
from official_vision.metrics.charades_map import is_charades
from official_vision.metrics.class_bands import class_bands
from official_vision.metrics.evaluation import Evaluation, evaluate_scores
from official_vision.metrics.pooling import pool_labels, pool_logits
from official_vision.specs import EvaluationSpec


@dataclasses.dataclass(frozen=True)
class VideoScores:
    """Scored videos.

    Attributes:
      ids: of the videos.
      classes: names of the columns.
      labels: bool [videos, classes].
      scores: probabilities, float64 [videos, classes].
      activation: sigmoid (a video may have several classes) or softmax (exactly one).
      training_counts: training videos of each class; empty where they are unknown.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray
    activation: str
    training_counts: tuple[int, ...] = ()

    @property
    def single_label(self) -> bool:
        """Returns whether each video has exactly one class."""
        return self.activation == "softmax"

    def evaluation(self) -> Evaluation:
        """Computes every figure.

        Raises:
          UserError: a score is not a number.
        """
        return evaluate_scores(
            self.scores,
            self.labels,
            self.classes,
            single_label=self.single_label,
            bands=class_bands(self.training_counts),
        )

    def intervals(self, spec: EvaluationSpec) -> Intervals | None:
        """Computes bootstrap intervals of every figure; None where `spec` sets no resamples."""
        if not spec.resamples:
            return None
        return bootstrap(
            self.scores,
            self.labels,
            single_label=self.single_label,
            spec=spec,
            charades=is_charades(self.classes),
            bands=class_bands(self.training_counts),
        )


@dataclasses.dataclass(frozen=True)
class ClipScores:
    """Scored clips, from which a video's scores can be pooled in several ways.

    Attributes:
      ids: of the videos.
      classes: names of the columns.
      labels: of the videos, bool [videos, classes].
      logits: float32 [clips, classes], for each video its clips in order, every crop of each.
      owner: int32 [clips], the video of each clip as its position in `ids`.
      activation: sigmoid or softmax.
      provenance: where the scores come from, JSON values.
      training_counts: training videos of each class; empty where they are unknown.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    logits: np.ndarray
    owner: np.ndarray
    activation: str
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    training_counts: tuple[int, ...] = ()

    def pooled(self, spec: EvaluationSpec) -> VideoScores:
        """Merges each video's clips and crops as `spec` sets."""
        scores = pool_logits(self.logits, self.owner, self.activation, spec)
        return VideoScores(
            self.ids, self.classes, self.labels, scores, self.activation, self.training_counts
        )

    def pooled_as(self, spec: EvaluationSpec) -> str:
        """Describes what `pooled` does, e.g. "max of 30 clips per video"."""
        clips = len(self.owner) / max(len(self.ids), 1)
        if clips == 1:
            return "1 clip per video"
        way = f"mean of the top {spec.top_k}" if spec.pooling == "top_k" else spec.pooling
        logits = "logits of " if spec.pooled_values == "logits" else ""
        return f"{way} of {logits}{clips:.4g} clips per video"


def collect(
    gathered: Mapping[str, np.ndarray],
    ids: Sequence[str],
    classes: Sequence[str],
    activation: str,
    provenance: Mapping[str, Any] | None = None,
    training_counts: Sequence[int] = (),
) -> ClipScores:
    """Sorts the results of a pass over the data: filling rows are dropped, clips grouped by video.

    Args:
      gathered: logits [rows, classes], labels [rows, classes], mask [rows] (0 for filling) and video
        [rows] (the video's place in its split), from any number of replicas.
      ids: of all videos of the split. Those that have no row are left out.
      classes: names of the columns.
      activation: sigmoid or softmax.
      provenance: where the scores come from.
      training_counts: training videos of each class; empty where they are unknown.
    """
    real = np.flatnonzero(gathered["mask"] > 0)
    rows = real[np.argsort(gathered["video"][real], kind="stable")]
    videos, owner = np.unique(gathered["video"][rows], return_inverse=True)
    return ClipScores(
        tuple(ids[video] for video in videos),
        tuple(classes),
        pool_labels(gathered["labels"][rows], owner),
        gathered["logits"][rows].astype(np.float32),
        owner.astype(np.int32),
        activation,
        dict(provenance or {}),
        tuple(training_counts),
    )
