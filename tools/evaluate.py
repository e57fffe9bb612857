"""Evaluates a run: evaluate --model_dir=DIR [--checkpoint=best|latest|PATH] [--blank_streams] [--json=PATH].

Everything else is read from the configuration that training saved in the folder.
"""

from absl import flags
from tqdm import tqdm

from official_vision import cli, files
from official_vision.errors import UserError

_MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "A run's folder, TrainSpec.model_dir of training."
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", "best", "best, latest or a checkpoint's path prefix."
)
_BLANK = flags.DEFINE_bool("blank_streams", False, "Also evaluate with each stream blanked.")
_JSON = flags.DEFINE_string("json", None, "File to write the figures to.")


def main() -> None:
    """Prints the table of classes."""
    if not _MODEL_DIR.value:
        raise UserError(
            "--model_dir must name a run's folder. Received: none. Add --model_dir=DIR."
        )
    # Imported late: --help and mistakes are answered before TensorFlow starts.
    from official_vision.training import evaluate as evaluation

    trained = evaluation.load_trained(_MODEL_DIR.value, _CHECKPOINT.value)
    whole, blanked = evaluation.evaluate(
        trained,
        blank_streams=_BLANK.value,
        progress=lambda batches, count: tqdm(
            batches, total=count or None, unit="batch", disable=None
        ),
    )
    print(evaluation.to_text(trained, whole, blanked))
    if _JSON.value:
        files.write_json(_JSON.value, evaluation.to_dict(trained, whole, blanked))


if __name__ == "__main__":
    cli.run(main)
