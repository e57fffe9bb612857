"""Exports a run for serving: export --model_dir=DIR --output=DIR [--checkpoint=best|latest|PATH]."""

from absl import flags

from official_vision import cli, config
from official_vision.errors import UserError

_MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "A run's folder, TrainSpec.model_dir of training."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of versions; the next one is written.")
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", "best", "best, latest or a checkpoint's path prefix."
)


def main() -> None:
    """Writes the next version and says how near it is to the model."""
    if not _MODEL_DIR.value or not _OUTPUT.value:
        raise UserError(
            "--model_dir and --output must be given. "
            f"Received: {_MODEL_DIR.value!r} and {_OUTPUT.value!r}. Name a run's folder and one to write."
        )
    config.read(_MODEL_DIR.value)
    # Imported late: --help and mistakes are answered before TensorFlow starts.
    from official_vision.serving.export import export

    exported = export(_MODEL_DIR.value, _OUTPUT.value, _CHECKPOINT.value)
    print(
        f"exported {exported.path}: loaded in a fresh process with TensorFlow alone, its scores differ from "
        f"the model's by at most {exported.difference:.1e}"
    )


if __name__ == "__main__":
    cli.run(main)
