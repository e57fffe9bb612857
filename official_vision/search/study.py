"""Trains variants of settings with several seeds, for comparisons with a spread."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from official_vision import config as configuration
from official_vision import files, formats
from official_vision.config import Config
from official_vision.errors import UserError
from official_vision.search.training_process import train_in_child

_NAME = re.compile(r"\w[\w.+-]*")  # never a folder above
_EXPECTED = re.compile(r"(\d+)>(\d+)=(\d+(?:,\d+)*)")
_RESULT_FILE = "result.json"


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way of training.

    Attributes:
      name: of its folder, and in tables.
      bindings: gin settings in which it differs from the others.
    """

    name: str
    bindings: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Reads "name: setting; setting"; settings may be missing.

        Raises:
          UserError: the name would not do for a folder.
        """
        name, _, bindings = text.partition(":")
        if not _NAME.fullmatch(name.strip()):
            raise UserError(
                "A variant is a name of letters, digits, '.', '+', '-' and '_', then a colon and gin settings. "
                f"Received: {text!r}. Write e.g. 'self: ModelSpec.gate = \"self\"'."
            )
        return cls(
            name.strip(), tuple(part.strip() for part in bindings.split(";") if part.strip())
        )


@dataclasses.dataclass(frozen=True)
class ExpectedPeers:
    """The nodes of which one should gate a connection: the planted truth of generated data."""

    source: int
    consumer: int
    peers: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> ExpectedPeers:
        """Reads "SOURCE>CONSUMER=PEER,PEER".

        Raises:
          UserError: it is not of this form.
        """
        match = _EXPECTED.fullmatch(text.replace(" ", ""))
        if not match:
            raise UserError(
                f"Expected peers are written SOURCE>CONSUMER=PEER,PEER. Received: {text!r}. Write e.g. 0>6=2,5."
            )
        source, consumer, peers = match.groups()
        return cls(int(source), int(consumer), tuple(map(int, peers.split(","))))


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: a variant with a seed."""

    variant: Variant
    seed: int
    config: Config

    @property
    def folder(self) -> Path:
        """Returns the folder of the run."""
        return Path(self.config.train.model_dir)


def plan(
    gin_files: Sequence[str],
    gin_bindings: Sequence[str],
    variants: Sequence[Variant],
    seeds: Sequence[int],
    output: str,
) -> list[Run]:
    """Lays out all runs, seed by seed, so that a study that is cut short has all variants.

    Args:
      gin_files, gin_bindings: what the variants share.
      variants: their names differ.
      seeds: of weights, order of data and augmentation.
      output: folder; each run gets VARIANT/seed-N in it.

    Raises:
      UserError: settings that can't be read, a repeated name, or a folder of other settings.
    """
    names = [variant.name for variant in variants]
    if len(set(names)) < len(names) or not names:
        raise UserError(
            f"A study needs variants of different names. Received: {', '.join(names) or 'none'}. Rename one."
        )
    runs = [
        Run(
            variant,
            seed,
            configuration.load(
                gin_files,
                [
                    *gin_bindings,
                    *variant.bindings,
                    f"TrainSpec.seed = {seed}",
                    f"train/DataSpec.seed = {seed}",
                    f"TrainSpec.model_dir = {str(Path(output) / variant.name / f'seed-{seed}')!r}",
                ],
            ),
        )
        for seed in seeds
        for variant in variants
    ]
    for run in runs:
        _check_same(run)
    return runs


def _check_same(run: Run) -> None:
    """Refuses a finished run of other settings: it is taken as it is."""
    if not (run.folder / configuration.CONFIG_JSON).is_file():
        return
    before = configuration.read(run.folder).to_dict()
    differences = configuration.differences(before, run.config, before)
    if differences:
        raise UserError(
            f"A study goes on with its first settings. Received: {run.folder}, in which "
            f"{'; '.join(differences)}. Choose another --output or the old settings."
        )


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a run.

    Attributes:
      variant, seed: which run.
      value: TrainSpec.best_metric at the end of training; None of a run that failed.
      best: its greatest value in any evaluation (of a loss, the least).
      seconds: that the last start of the run took.
      figures: all figures at the end of training; None where one is not defined.
      peers_match: for each `ExpectedPeers`, whether the connection's likeliest peer is among them.
      failure: why there is no value; else empty.
    """

    variant: str
    seed: int
    value: float | None = None
    best: float | None = None
    seconds: float | None = None
    figures: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    peers_match: tuple[bool, ...] = ()
    failure: str = ""


def carry_out(
    runs: Sequence[Run],
    expected: Sequence[ExpectedPeers] = (),
    progress: Callable[[Sequence[Run]], Iterable[Run]] = iter,
) -> list[Outcome]:
    """Trains what is not trained yet, one run after the other; a run that fails does not stop others."""
    failures = {}
    unfinished = [run for run in runs if not (run.folder / _RESULT_FILE).is_file()]
    for run in progress(unfinished):
        if reason := train_in_child(run.config):
            failures[run.folder] = reason
    return [_outcome(run, expected, failures.get(run.folder, "")) for run in runs]


def _outcome(run: Run, expected: Sequence[ExpectedPeers], failure: str) -> Outcome:
    if failure:
        return Outcome(run.variant.name, run.seed, failure=failure)
    path, metric = run.folder / _RESULT_FILE, run.config.train.best_metric
    result = formats.RESULT.read(path)
    with files.damage_reported(path):
        figures = dict(result["figures"])
        values = figures[metric], result["best"][metric], float(result["seconds"])
    peers = tuple(_is_chosen(run.folder, wanted) for wanted in expected)
    return Outcome(run.variant.name, run.seed, *values, figures, peers)


def _is_chosen(folder: Path, wanted: ExpectedPeers) -> bool:
    # Imported late: settings are checked and mistakes answered before TensorFlow starts.
    from official_vision.training.checkpoints.learned_connectivity import learned_connectivity

    choices = learned_connectivity(folder, "latest").choices()
    choice = choices.get((wanted.source, wanted.consumer))
    if choice is None:
        raise UserError(
            f"Expected peers are of a one-shot connection. Received: {wanted.source}>{wanted.consumer}, which "
            f"{folder} doesn't have; it has {', '.join(f'{a}>{b}' for a, b in choices)}. Name one of these."
        )
    return choice.likeliest in wanted.peers
