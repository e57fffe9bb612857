"""Converts other programs' weights: convert --checkpoint=PATH --output=DIR [--structure=FILE] [--labels=FILE].

Reads only local files, and runs none of their content. The output is a run's folder: training starts from
it (TrainSpec.init_checkpoint = 'DIR'), and official-vision evaluate, inspect and export read its --model_dir.
coverage.txt in it names the origin of each weight: loaded, inflated (made from another shape) or initial
(what a new network starts with), and what was skipped. Data and training are set by --gin_file and
--gin_bindings; what the checkpoint fixes (gates, pooling of frames, classes) needs no setting.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from absl import flags

from official_vision import cli, config, files
from official_vision.errors import UserError

cli.define_gin_flags()
flags.adopt_module_key_flags(cli)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "File of weights, a TensorFlow checkpoint's path prefix, or a folder: its newest checkpoint.",
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write; must not exist or be empty.")
_SOURCE = flags.DEFINE_string(
    "source",
    "auto",
    "Format of the weights: authors-tf2 (the authors' Model Garden port), authors-tf1 (their TensorFlow 1 "
    "code), resnet (2-D ResNet-50 and -101 of tf_keras, torchvision or timm, inflated), slowfast (PySlowFast's "
    "names), r2plus1d (torchvision's names); auto recognises it by the file and the names in it.",
)
_STRUCTURE = flags.DEFINE_string(
    "structure",
    None,
    "JSON file of the network: the authors' nested lists, {'structure': lists, 'edge_weights': lists}, or an "
    "architecture that official-vision inspect --save wrote; or a name of the zoo.",
)
_PARAMS = flags.DEFINE_string(
    "params",
    None,
    "params.yaml of the run that wrote the checkpoint; by default looked for beside it and one folder above.",
)
_EMA = flags.DEFINE_bool(
    "ema", False, "Take the weights' moving averages, where the checkpoint has them."
)
_DEPTH = flags.DEFINE_integer(
    "depth",
    None,
    "26, 38, 50, 68, 77 or 101, where neither params.yaml nor the number of variables shows it.",
)
_NUM_CLASSES = flags.DEFINE_integer(
    "num_classes",
    None,
    "Of the network; another number than the checkpoint's starts a new classifier.",
    lower_bound=1,
)
_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "Class names in the order of the classifier: a text file with one per line, or JSON (a list, or names by "
    "number, as Hugging Face's config.json has them).",
)
# Not every format has a use for these.
_OF_SOURCES = (_STRUCTURE, _PARAMS, _EMA, _DEPTH, _NUM_CLASSES, _LABELS)


def main() -> None:
    """Converts, reports the origin of each weight, and writes the folder."""
    if not _CHECKPOINT.value or not _OUTPUT.value:
        raise UserError(
            "--checkpoint and --output must be set. "
            f"Received: {_CHECKPOINT.value!r} and {_OUTPUT.value!r}. Name weights and a folder to write."
        )
    settings = config.load(flags.FLAGS.gin_file, flags.FLAGS.gin_bindings)
    files.check_folder_writable(_OUTPUT.value, "--output")
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.conversion.locate import weights_at

    path = weights_at(_CHECKPOINT.value)
    from official_vision.conversion import run_folder, sources
    from official_vision.conversion.converted import Options
    from official_vision.training.run_folder.class_names import read_labels

    run_folder.check_output(Path(_OUTPUT.value))
    options = Options(
        spec=settings.model,
        structure=_STRUCTURE.value or "",
        params=_PARAMS.value or "",
        averaged=_EMA.value,
        depth=_DEPTH.value,
        num_classes=_NUM_CLASSES.value,
        labels=read_labels(_LABELS.value) if _LABELS.value else None,
    )
    source = _SOURCE.value
    if source == "auto":
        source = sources.source_of(path)
        print(f"{path}: {source}, {sources.SOURCES[source].what}")
    sources.check_source(source, [flag.name for flag in _OF_SOURCES if flag.present])
    converted = sources.SOURCES[source].convert(path, options)
    run_folder.write_run(
        Path(_OUTPUT.value),
        dataclasses.replace(settings, model=converted.spec),
        converted.architecture,
        converted.model,
        converted.coverage,
        converted.labels,
    )
    print(converted.coverage.to_text())
    print(f"converted {path} -> {_OUTPUT.value}")
