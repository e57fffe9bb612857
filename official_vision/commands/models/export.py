"""Exports a run for serving: export --model_dir=DIR --output=DIR [--tflite=int8] [--onnx] [--stablehlo].

Writes the next version below --output: a SavedModel for TF Serving, model_<format>.tflite for each --tflite (of one
or more numbers of frames: --tflite_frames), model.onnx for --onnx, model.stablehlo for --stablehlo (with its weights
and signature beside it), and parity.json, which compares each file's scores with the network's on clips of the
validation data that training has stored in the run's folder: the data themselves may be gone. A file whose scores
differ too much is not exported. parity.json also counts what a phone's GPU lacks of each TFLite file; a note is
printed where that cuts the network.
"""

import importlib

from absl import flags

from official_vision import config, extras, files
from official_vision.errors import UserError

_MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "A run's folder, TrainSpec.model_dir of training."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of versions; the next one is written.")
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", "best", "best, latest or a checkpoint's path prefix."
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    "Folder of a prepared split to take clips from, in place of those in the run's folder.",
)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "bfloat16"], "Of the SavedModel."
)
_PEERS = flags.DEFINE_enum(
    "peers",
    "auto",
    ["auto", "discrete", "all"],
    "discrete: each gate's most probable peer alone; all: every candidate; auto: discrete where no "
    "score changes by it.",
)
_THRESHOLD = flags.DEFINE_float(
    "threshold",
    0.0,
    "Weaker connections of a discrete network go.",
    lower_bound=0,
    upper_bound=1,
)
_TFLITE = flags.DEFINE_multi_enum(
    "tflite",
    [],
    ["float32", "float16", "dynamic", "int8"],
    "TFLite file to write as well; can be repeated.",
)
_TFLITE_FRAMES = flags.DEFINE_multi_integer(
    "tflite_frames",
    [],
    "Frames of the clips that TFLite files take, by default those of evaluation; can be repeated: each file then has "
    "a signature for each number, frames_16 for 16, and its weights once.",
    lower_bound=1,
)
_ONNX = flags.DEFINE_bool("onnx", False, "Write an ONNX file as well, of clips of any batch size.")
_STABLEHLO = flags.DEFINE_bool(
    "stablehlo",
    False,
    "Write a StableHLO program of one clip as well, with its weights beside it, and run it with JAX.",
)
_CLIPS = flags.DEFINE_integer(
    "clips",
    8,
    "Clips of the validation data that files are checked and timed on; int8 is calibrated on as many others.",
    lower_bound=1,
)
_LIMIT = flags.DEFINE_float(
    "limit",
    None,
    "Largest difference of a score from the network's, of int8 in a typical clip; each format has a default "
    "by default.",
    lower_bound=0,
)
_THREADS = flags.DEFINE_integer(
    "threads", 1, "Of TFLite's interpreter when it is timed.", lower_bound=1
)


_COMPILED_FLOW = flags.DEFINE_bool(
    "compiled_flow",
    False,
    "XLA compiles the flow that the SavedModel computes: about three times as fast; TF Serving needs "
    "--xla_cpu_compilation_enabled then.",
)
_FEATURE_NODE = flags.DEFINE_multi_integer(
    "feature_node",
    [],
    "Node, by index, whose averages official-vision features can take of the SavedModel; can be repeated. What the "
    "classifier reads and its logits are always there.",
    lower_bound=0,
)


def main() -> None:
    """Writes the next version and compares it with the model."""
    if not _MODEL_DIR.value or not _OUTPUT.value:
        raise UserError(
            "--model_dir and --output must be set. "
            f"Received: {_MODEL_DIR.value!r} and {_OUTPUT.value!r}. Name a run's folder and one to write."
        )
    # Imported late: --help does without.
    from official_vision.serving.export.options import ExportOptions

    options = ExportOptions(
        precision=_PRECISION.value,
        peers=_PEERS.value,
        threshold=_THRESHOLD.value,
        tflite=tuple(dict.fromkeys(_TFLITE.value)),
        tflite_frames=tuple(dict.fromkeys(_TFLITE_FRAMES.value)),
        onnx=_ONNX.value,
        stablehlo=_STABLEHLO.value,
        clips=_CLIPS.value,
        limit=_LIMIT.value,
        threads=_THREADS.value,
        compiled_flow=_COMPILED_FLOW.value,
        feature_nodes=tuple(dict.fromkeys(_FEATURE_NODE.value)),
    )
    config.read(_MODEL_DIR.value)
    if _ONNX.value:
        importlib.import_module("onnxruntime")  # missing packages are named before the work
        importlib.import_module("tf2onnx")
    if _STABLEHLO.value:
        extras.check_jax()
    files.check_folder_writable(_OUTPUT.value, "--output")
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.serving.export.version_folder import export

    with files.full_disk_reported("--output", _OUTPUT.value):
        exported = export(
            _MODEL_DIR.value, _OUTPUT.value, _CHECKPOINT.value, options, data=_DATA.value
        )
    print(f"exported {exported.path}, each file run in an isolated process without our code:")
    for name, parity in exported.parities.items():
        print(f"  {name}: {parity.to_text()}")
    if exported.rgb_alone:
        print(f"  {exported.rgb_alone.to_text()}")
    for note in exported.notes:
        print(f"  note: {note}")
