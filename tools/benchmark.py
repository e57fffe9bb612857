"""Measures this machine: benchmark --what=input|prepare [--gin_file=FILE] [--json=PATH].

input: clips a second a core of feeding, beside Model Garden's reader on the same shards in the same
run; bytes a clip; decodings a used frame. Reads train/DataSpec.path, or generates videos without it.
prepare: video-seconds a second of preparation with 1 to PrepareSpec.workers processes, and the share of
each part. Reads PrepareSpec.annotations and videos; writes nothing that stays.
"""

from absl import flags

from official_vision import cli, config, files
from official_vision.errors import UserError

_WHAT = flags.DEFINE_string("what", None, "What to measure: input or prepare.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Rounds in which all that is compared runs in turn.")
_BATCHES = flags.DEFINE_integer("batches", 4, "Batches of each in a round.")
_VIDEOS = flags.DEFINE_integer("videos", 4, "Videos of the first split that are prepared.")
_JSON = flags.DEFINE_string("json", None, "File to write the figures to.")
cli.define_gin_flags()
flags.adopt_module_key_flags(cli)


def _input(settings: config.Config) -> tuple[dict, str]:
    # Imported late: --help and mistakes are answered before TensorFlow starts.
    from official_vision.benchmark.input import input_text, measure_input

    result = measure_input(settings, _ROUNDS.value, _BATCHES.value)
    return result, input_text(result)


def _prepare(settings: config.Config) -> tuple[dict, str]:
    from official_vision.benchmark.preparation import measure_preparation, preparation_text

    result = measure_preparation(settings.prepare, _VIDEOS.value)
    return result, preparation_text(result)


_BENCHMARKS = {"input": _input, "prepare": _prepare}


def main() -> None:
    """Prints the figures."""
    if _WHAT.value not in _BENCHMARKS:
        raise UserError(
            f"--what must be one of {', '.join(_BENCHMARKS)}. Received: {_WHAT.value!r}. Name one."
        )
    for flag in (_ROUNDS, _BATCHES, _VIDEOS):
        if flag.value < 1:
            raise UserError(f"--{flag.name} must be at least 1. Received: {flag.value}. Raise it.")
    settings = config.load(flags.FLAGS.gin_file, flags.FLAGS.gin_bindings)
    result, text = _BENCHMARKS[_WHAT.value](settings)
    print(text)
    if _JSON.value:
        files.write_json(_JSON.value, result)


if __name__ == "__main__":
    cli.run(main)
