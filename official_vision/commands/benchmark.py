"""Measures this machine: benchmark --what=forward|train|search|export|input|prepare|program [--gin_file=FILE]
[--json=PATH].

forward, train: seconds of an exported network's pass, or of a whole training step with its peak memory, in float32
and bfloat16; clips/s, GFLOP/s and their share of the matrix products of the same run. On generated clips, as
DataSpec sets them; train and search with TrainSpec's threads per operation. --compare=FILE sets other settings
beside these; --grow=frames=8,16,32 (or size, batch, width) shows how cost grows, of train --grow=workers=1,2 too
(processes that share a batch, each with separate cores). --profile=FOLDER shows where time goes: by node, stream
and kind of operation, as a table, a picture (profile.png), figures (profile.json) and a trace for TensorBoard.
search: a training step of the graph without and with gates, and of the over-connected one, joint and bilevel.
export: every file that official-vision export can write: time to write, size, time per clip, difference from the
  Keras model.

input: clips per second and core of feeding, beside Model Garden's reader on the same shards in the same
run; bytes per clip; decodings per used frame. Reads train/DataSpec.path, or generates videos without it.
program: nothing is measured here. The whole training step (loss, gradients, optimizer, batch norm's averages) and
the forward pass are written as StableHLO to --output=FOLDER, for all --batch_sizes and --precisions;
tools/run_program.py checks and times them on any accelerator that JAX finds, without TensorFlow.
prepare: video-seconds a second of preparation with 1 to PrepareSpec.workers processes, and the share of
each part. Reads PrepareSpec.annotations and videos; writes nothing that stays.
"""

import pathlib
import sys

from absl import flags

from official_vision import cli, config, files
from official_vision.errors import UserError

_WHAT = flags.DEFINE_string(
    "what", None, "What to measure: forward, train, search, export, input or prepare; or program."
)
_COMPARE = flags.DEFINE_multi_string(
    "compare", [], "Of forward and train: gin files of networks to set beside that of --gin_file."
)
_GROW = flags.DEFINE_string(
    "grow",
    None,
    "Of forward and train: NAME=VALUE,VALUE,... of frames, size, batch or width; of train, of workers too.",
)
_PROFILE = flags.DEFINE_string(
    "profile",
    None,
    "Of forward and train: folder for the profile and TensorBoard's trace.",
)
_PICTURE = flags.DEFINE_string("picture", None, "With --grow: PNG file of times and arithmetic.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Rounds in which all that is compared runs in turn.")
_BATCHES = flags.DEFINE_integer("batches", 4, "Batches of each in a round.")
_VIDEOS = flags.DEFINE_integer("videos", 4, "Videos of the first split that are prepared.")
_OUTPUT = flags.DEFINE_string("output", None, "Of program: folder to write, which is not there.")
_BATCH_SIZES = flags.DEFINE_list(
    "batch_sizes", [], "Of program: clips per step; DataSpec's without it."
)
_PRECISIONS = flags.DEFINE_list(
    "precisions", ["float32", "bfloat16"], "Of program: some of float32, tf32 and bfloat16."
)
_PASSES = flags.DEFINE_list("passes", ["train", "forward"], "Of program: train, forward or both.")
_JSON = flags.DEFINE_string("json", None, "File to write the figures to.")
cli.define_gin_flags()
flags.adopt_module_key_flags(cli)


def _input(settings: config.Config) -> tuple[dict, str]:
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.benchmark.input_speed import input_text, measure_input

    result = measure_input(settings, _ROUNDS.value, _BATCHES.value)
    return result, input_text(result)


def _prepare(settings: config.Config) -> tuple[dict, str]:
    from official_vision.benchmark.preparation_speed import measure_preparation, preparation_text

    result = measure_preparation(settings.prepare, _VIDEOS.value)
    return result, preparation_text(result)


def _search(settings: config.Config) -> tuple[dict, str]:
    from official_vision.benchmark.network_speed import network_text
    from official_vision.benchmark.search_speed import measure_search

    result = measure_search(settings, _ROUNDS.value)
    return result, network_text(result)


def _export(settings: config.Config) -> tuple[dict, str]:
    from official_vision.benchmark.export_speed import exports_text, measure_exports

    result = measure_exports(settings, _ROUNDS.value, lambda line: print(line, file=sys.stderr))
    return result, exports_text(result)


def _program(settings: config.Config) -> tuple[dict, str]:
    folder = pathlib.Path(_OUTPUT.value)
    files.check_folder_writable(folder, "--output")
    from official_vision.benchmark.program.folder import programs_text, write_programs

    result = write_programs(
        settings,
        _stem(flags.FLAGS.gin_file) or "default",
        folder,
        _PASSES.value,
        _PRECISIONS.value,
        [int(size) for size in _BATCH_SIZES.value],
        lambda line: print(line, file=sys.stderr),
    )
    return result, programs_text(result, folder)


def _network(settings: config.Config) -> tuple[dict, str]:
    if _GROW.value:
        return _growth(settings)
    configs = {_stem(flags.FLAGS.gin_file) or "default": settings}
    for path in _COMPARE.value:
        configs[_stem([path])] = config.load([path], flags.FLAGS.gin_bindings)
    if _PROFILE.value:
        return _profile(configs)
    from official_vision.benchmark.network_speed import measure_networks, network_text

    result = measure_networks(configs, _WHAT.value, _ROUNDS.value)
    return result, network_text(result)


def _growth(settings: config.Config) -> tuple[dict, str]:
    from official_vision.benchmark import growth

    name, numbers = growth.parsed(_GROW.value)
    if name == growth.WORKERS and _WHAT.value != "train":
        raise UserError(
            f"Workers train together. Received: --what={_WHAT.value} --grow={_GROW.value}. Write --what=train."
        )
    from official_vision.benchmark import communication, scaling
    from official_vision.benchmark.network_speed import measure_networks, network_text

    if name == growth.WORKERS:
        result = scaling.measure_scaling(settings, numbers, _ROUNDS.value)
    else:
        configs = growth.grown(settings, name, numbers)
        result = measure_networks(configs, _WHAT.value, _ROUNDS.value, in_processes=False)
    if _PICTURE.value:
        growth.draw_growth(result, _PICTURE.value)
    result["exponents"] = growth.exponents(result)
    texts = (
        network_text(result),
        communication.communication_text(result),
        growth.growth_text(result),
    )
    return result, "\n".join(filter(None, texts))


def _profile(configs: dict[str, config.Config]) -> tuple[dict, str]:
    folder = pathlib.Path(_PROFILE.value)
    files.check_folder_writable(folder, "--profile")
    from official_vision.benchmark.profile.profile import measure_profiles, profile_text
    from official_vision.benchmark.profile.profile_picture import draw_profiles

    result = measure_profiles(configs, _WHAT.value, _ROUNDS.value, folder)
    draw_profiles(result, folder / "profile.png")
    files.write_json(folder / "profile.json", result)
    return result, f"{profile_text(result)}\n{folder}: profile.png, profile.json, traces"


def _stem(paths: list[str]) -> str:
    return "+".join(pathlib.Path(path).stem for path in paths)


_OF_NETWORKS = ("forward", "train")
_BENCHMARKS = {
    "forward": _network,
    "train": _network,
    "search": _search,
    "export": _export,
    "input": _input,
    "prepare": _prepare,
    "program": _program,
}


def _check_flags() -> None:
    if _WHAT.value not in _BENCHMARKS:
        raise UserError(
            f"--what must be one of {', '.join(_BENCHMARKS)}. Received: {_WHAT.value!r}. Name one."
        )
    for flag in (_ROUNDS, _BATCHES, _VIDEOS):
        if flag.value < 1:
            raise UserError(f"--{flag.name} must be at least 1. Received: {flag.value}. Raise it.")
    ways = [flag for flag in (_GROW, _COMPARE, _PROFILE, _PICTURE) if flag.value]
    if _WHAT.value not in _OF_NETWORKS and ways:
        raise UserError(
            f"--{ways[0].name} is of forward and train. Received: --what={_WHAT.value}. Leave it away."
        )
    _check_program_flags()
    if _PICTURE.value and not _GROW.value:
        raise UserError(
            f"--picture shows what --grow measures. Received: --picture={_PICTURE.value} alone. Add --grow."
        )
    if _GROW.value and (_COMPARE.value or _PROFILE.value):
        other = "compare" if _COMPARE.value else "profile"
        raise UserError(
            f"--grow times one network. Received: --{other} too. Leave one of them away."
        )


def _check_program_flags() -> None:
    if (_WHAT.value == "program") != bool(_OUTPUT.value):
        raise UserError(
            f"--what=program writes to --output, and nothing else does. Received: --what={_WHAT.value} "
            f"--output={_OUTPUT.value or ''}. Name both or neither."
        )
    for flag, choices in (
        (_PRECISIONS, ("float32", "tf32", "bfloat16")),
        (_PASSES, ("train", "forward")),
    ):
        if not flag.value or set(flag.value) - set(choices):
            raise UserError(
                f"--{flag.name} must be some of {', '.join(choices)}. Received: {','.join(flag.value)}."
            )
    if not all(size.isascii() and size.isdigit() and int(size) for size in _BATCH_SIZES.value):
        raise UserError(
            f"--batch_sizes must be numbers of clips from 1 on. Received: {','.join(_BATCH_SIZES.value)}."
        )


def main() -> None:
    """Prints the figures."""
    _check_flags()
    for flag in (_JSON, _PICTURE):
        if flag.value:
            files.check_writable(flag.value, f"--{flag.name}")
    settings = config.load(flags.FLAGS.gin_file, flags.FLAGS.gin_bindings)
    result, text = _BENCHMARKS[_WHAT.value](settings)
    print(text)
    if _JSON.value:
        files.write_json(_JSON.value, result)
