"""Settings of evaluation."""

from __future__ import annotations

import dataclasses

from official_vision.specs.spec import Spec, setting


@dataclasses.dataclass(frozen=True)
class EvaluationSpec(Spec):
    """Pooling of clips' scores to a video's, and the intervals of figures.

    Attributes:
      pooling: how scores of a video's clips and crops are pooled: mean, max, or top_k (mean of each class's
        greatest).
      top_k: number of clips and crops that top_k averages; all if there are fewer.
      pooled_values: probabilities (each clip has one vote, and scores stay what the network serves) or
        logits (a clip that is very sure outweighs others).
      resamples: bootstrap resamples of videos for intervals; 0 leaves them out. Read by
        official-vision evaluate; evaluations during training have none.
      confidence: probability that an interval contains a figure, above 0 and below 1.
      seed: seed of the resamples.
    """

    pooling: str = setting("mean", choices=("mean", "max", "top_k"))
    top_k: int = setting(3, low=1)
    pooled_values: str = setting("probabilities", choices=("probabilities", "logits"))
    resamples: int = setting(1000, low=0)
    confidence: float = setting(0.95, above=0, high=0.9999)
    seed: int = setting(0, low=0, high=2**32 - 1)
