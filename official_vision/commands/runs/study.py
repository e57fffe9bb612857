"""Trains variants with several seeds each and compares them with their spread.

    study --gin_file=FILE --variant='peer:' --variant='self: ModelSpec.gate = "self"' --seeds=0,1,2 --output=DIR

Each run trains in DIR/VARIANT/seed-N. Killed and started again, the study continues. At its end DIR has study.md,
study.json and study.png: every variant beside the first, seed by seed; --figures names more figures for the table. Of
data with a planted truth, --expected_peer='0>6=2,5' counts the runs in which connection 0 to 6 has one of the
nodes 2 and 5 as its likeliest peer.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from absl import flags

from official_vision import cli, files
from official_vision.errors import UserError
from official_vision.lock import folder_locked
from official_vision.progress import Progress
from official_vision.search import study

cli.define_gin_flags()
flags.adopt_module_key_flags(cli)
_VARIANTS = flags.DEFINE_multi_string(
    "variant", [], "A variant: 'name: setting; setting', settings as in gin files."
)
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds that every variant trains with.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder of all runs and of the results.")
_FIGURES = flags.DEFINE_list(
    "figures", [], "Further figures of evaluation for the table, besides TrainSpec.best_metric."
)
_EXPECTED = flags.DEFINE_multi_string(
    "expected_peer", [], "SOURCE>CONSUMER=PEER,PEER: nodes that should gate a connection."
)


def main() -> int:
    """Runs the study; the status is SOME_LEFT_OUT when a run failed."""
    if not _OUTPUT.value:
        raise UserError("--output must name a folder. Received: none. Name one for all runs.")
    files.check_folder_writable(_OUTPUT.value, "--output")
    variants = [study.Variant.parse(text) for text in _VARIANTS.value]
    expected = [study.ExpectedPeers.parse(text) for text in _EXPECTED.value]
    seeds = _seeds()
    with folder_locked(_OUTPUT.value, "--output", "a study"):
        runs = study.plan(
            flags.FLAGS.gin_file, flags.FLAGS.gin_bindings, variants, seeds, _OUTPUT.value
        )
        outcomes = study.carry_out(runs, expected, _bar)
        _write(variants, outcomes, runs[0].config.train.best_metric, expected)
    failed = [outcome for outcome in outcomes if outcome.failure]
    for outcome in failed:
        print(f"failed: {outcome.variant}, seed {outcome.seed}: {outcome.failure}")
    return cli.SOME_LEFT_OUT if failed else 0


def _seeds() -> list[int]:
    if not _SEEDS.value or not all(seed.isdecimal() for seed in _SEEDS.value):
        raise UserError(
            f"--seeds must be whole numbers. Received: {','.join(_SEEDS.value)!r}. Write e.g. --seeds=0,1,2."
        )
    return [int(seed) for seed in dict.fromkeys(_SEEDS.value)]


def _write(
    variants: Sequence[study.Variant],
    outcomes: Sequence[study.Outcome],
    metric: str,
    expected: Sequence[study.ExpectedPeers],
) -> None:
    from official_vision.search import study_report

    output = Path(_OUTPUT.value)
    rows = study_report.rows_of(variants, outcomes, _FIGURES.value)
    table = study_report.to_markdown(rows, metric, expected)
    files.write_text(output / "study.md", table)
    files.write_json(
        output / "study.json", study_report.to_dict(variants, outcomes, metric, expected)
    )
    study_report.draw(rows, metric, output / "study.png")
    print(table, end="")


def _bar(runs: Sequence[study.Run]) -> Iterable[study.Run]:
    """Shows a progress bar on a terminal, and one line per run elsewhere."""
    with Progress(len(runs), "training", "runs") as progress:
        for number, run in enumerate(runs):
            if not progress.is_bar:
                print(
                    f"run {number + 1} of {len(runs)}: {run.variant.name}, seed {run.seed}",
                    flush=True,
                )
            yield run
            progress.update()
