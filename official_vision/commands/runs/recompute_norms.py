"""Repairs a finished run: recomputes batch norms' statistics with its weights, without training.

    recompute-norms --model_dir=DIR [--checkpoint=best|latest|PATH] [--batches=10]

For runs whose moving averages lag behind their weights: of few steps, or trained with
TrainSpec.precise_batch_norm_batches = 0. The checkpoint and the figures beside it are changed in place, nothing
else is; figures are printed before and after. Without --checkpoint the best and the latest are repaired. Export
again afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from official_vision import config
from official_vision.errors import UserError

if TYPE_CHECKING:
    from official_vision.training.checkpoints.recompute_norms import Repaired

_MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "A run's folder, TrainSpec.model_dir of training."
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "best, latest or a checkpoint's path prefix; best and latest where left out.",
)
_BATCHES = flags.DEFINE_integer(
    "batches", 10, "Batches of the run's training data to take statistics of.", lower_bound=1
)


def main() -> None:
    """Repairs the checkpoints and prints how the figures change."""
    if not _MODEL_DIR.value:
        raise UserError("--model_dir must be set. Received: none. Name a run's folder.")
    config.read(_MODEL_DIR.value)
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.training.checkpoints.recompute_norms import repair

    for which in (_CHECKPOINT.value,) if _CHECKPOINT.value else ("best", "latest"):
        print(_lines(repair(_MODEL_DIR.value, which, _BATCHES.value)))


def _lines(repaired: Repaired) -> str:
    changes = (
        f"  {name} {before:.4f} -> {repaired.after[name]:.4f}"
        for name, before in repaired.before.items()
    )
    return "\n".join([f"{repaired.checkpoint}: statistics of {_BATCHES.value} batches", *changes])
