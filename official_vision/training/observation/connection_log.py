"""The search during training: learned.jsonl, one line per interval with all strengths and peer distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.graph import Architecture
from official_vision.modeling.inference.discretise import learned_strengths, peer_distributions
from official_vision.modeling.network import AssembleNet
from official_vision.training.observation.jsonlines import JsonLines, read_lines

LEARNED_FILE = "learned.jsonl"
_DIGITS = 6


def connections_of(model: AssembleNet, step: int) -> Learned:
    """Reads sigmoid(w) and softmax(h) of the trained network, not of its moving average."""
    return Learned(
        model.architecture, learned_strengths(model), peer_distributions(model), {"step": step}
    )


class ConnectionLog:
    """Writes learned.jsonl: at the start, every `interval` steps and at the end, each step once."""

    def __init__(self, folder: Path, start_step: int, interval: int):
        """Args:
        folder: of the run.
        start_step: at which it goes on; lines of later steps are dropped.
        interval: steps between lines; the first loop's end at or past it counts.
        """
        self._lines = JsonLines(folder / LEARNED_FILE, start_step)
        self._last = self._lines.records[-1]["step"] if self._lines.records else None
        self._interval = interval

    def is_due(self, step: int, last_step: int) -> bool:
        """Returns whether a line is written after `step`; `last_step` ends the run."""
        if self._last is None:
            return True
        passed = step // self._interval > self._last // self._interval
        return step > self._last and (passed or step >= last_step)

    def append(self, learned: Learned) -> None:
        """Writes a line: step; strengths and peers by node; entropy_share, the mean over connections.

        Peers are softmax(h), a row per connection over the nodes under `candidates`. An entropy share
        of 1 is an even choice, 0 a decided one; None where nothing is to be chosen.
        """
        self._last = learned.source["step"]
        self._lines.append(
            {
                "step": self._last,
                "strengths": _rounded(learned.strengths),
                "peers": _rounded(learned.peer_distributions),
                "candidates": {
                    str(node): list(choice.candidates)
                    for (_, node), choice in learned.choices().items()
                },
                "entropy_share": mean_entropy_share(learned),
            }
        )


def mean_entropy_share(learned: Learned) -> float | None:
    """Returns the mean over one-shot connections of PeerChoice.entropy_share; None where there is none."""
    shares = [choice.entropy_share for choice in learned.choices().values()]
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known else None


def read_connections(folder: Path, architecture: Architecture) -> tuple[Learned, ...]:
    """Reads learned.jsonl of a run's folder, one `Learned` per line in the order of steps."""
    return tuple(
        Learned(
            architecture,
            {int(node): tuple(row) for node, row in record["strengths"].items()},
            {
                int(node): tuple(tuple(row) for row in rows)
                for node, rows in record["peers"].items()
            },
            {"step": record["step"]},
        )
        for record in read_lines(folder / LEARNED_FILE)
    )


def _rounded(values: Mapping[int, Sequence[Any]]) -> dict[str, list[Any]]:
    def short(value: Any) -> Any:
        return round(value, _DIGITS) if isinstance(value, float) else [short(v) for v in value]

    return {str(node): short(row) for node, row in values.items()}
