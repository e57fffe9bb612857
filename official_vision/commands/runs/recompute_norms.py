"""Repairs a finished run: recomputes batch norms' statistics with its weights, without training.

    recompute-norms --model_dir=DIR [--checkpoint=best|latest|PATH] [--batches=10]

For runs whose moving averages lag behind their weights: of few steps, or trained with
TrainSpec.precise_batch_norm_batches = 0. The checkpoint and the figures beside it are changed in place, nothing
else is; figures are printed before and after. Without --checkpoint the best and the latest are repaired. Export
again afterwards. Statistics need the training data, and figures the validation data: where they have been moved,
--train_data and --data name them.
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
_DATA = flags.DEFINE_string(
    "data",
    None,
    "Folder of the prepared split to evaluate on, in place of the run's validation data.",
)
_TRAIN_DATA = flags.DEFINE_string(
    "train_data", None, "Folder of the run's training data, if it has been moved."
)


def main() -> None:
    """Repairs the checkpoints and prints how the figures change."""
    if not _MODEL_DIR.value:
        raise UserError("--model_dir must be set. Received: none. Name a run's folder.")
    config.read(_MODEL_DIR.value)
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.training.checkpoints.recompute_norms import repair

    for which in (_CHECKPOINT.value,) if _CHECKPOINT.value else ("best", "latest"):
        repaired = repair(
            _MODEL_DIR.value,
            which,
            _BATCHES.value,
            data=_DATA.value,
            train_data=_TRAIN_DATA.value,
        )
        print(_lines(repaired))


def _lines(repaired: Repaired) -> str:
    changes = (
        f"  {name} {before:.4f} -> {repaired.after[name]:.4f}"
        for name, before in repaired.before.items()
    )
    return "\n".join([f"{repaired.checkpoint}: statistics of {_BATCHES.value} batches", *changes])
