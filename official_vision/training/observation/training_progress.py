"""Progress of a run on the screen: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TextIO

from official_vision.progress import Progress, clock

_ADDED = ("weight_decay", "search_terms")


@dataclasses.dataclass(frozen=True)
class Loop:
    """The result of a loop of steps.

    Attributes:
      step: reached at its end.
      steps: in it.
      seconds: that it took, tracing included; evaluations and checkpoints lie between loops.
      input_wait_share: of these seconds, 0..1.
      loss: of clips, mean over its steps.
      added: what is minimised besides, by name, at its end.
      learning_rates: by name, those of the last step.
    """

    step: int
    steps: int
    seconds: float
    input_wait_share: float
    loss: float
    added: Mapping[str, float]
    learning_rates: Mapping[str, float]

    @classmethod
    def of(cls, output: Mapping[str, Any], step: int, steps: int) -> Loop:
        """Reads the output of the trainer's loop, which ended at `step` after `steps`."""
        values = {name: float(value) for name, value in output.items()}
        return cls(
            step,
            steps,
            values["seconds"],
            values["input_wait_share"],
            values["training_loss"],
            {name: values[name] for name in _ADDED if name in values},
            {name: value for name, value in values.items() if name.endswith("learning_rate")},
        )

    @property
    def pace(self) -> float:
        """Returns the seconds per step."""
        return self.seconds / self.steps


class TrainingProgress:
    """Shows each loop of steps."""

    def __init__(self, first_step: int, steps: int, batch_size: int, stream: TextIO):
        """Args:
        first_step: at which this run goes on.
        steps: at which it ends.
        batch_size: clips per step.
        stream: to write to; a terminal gets a bar.
        """
        self._batch_size = batch_size
        self._steps = steps
        self._first: Loop | None = None
        self._seconds = self._counted = 0.0
        self._progress = Progress(steps, "starting", "steps", done=first_step, stream=stream)

    def __call__(self, loop: Loop) -> None:
        """Reports a loop."""
        left = clock(self._pace(loop) * (self._steps - loop.step))
        rate = f"{1 / max(loop.pace, 1e-9):.2f} steps/s"
        clips = f"{self._batch_size / max(loop.pace, 1e-9):.1f} clips/s"
        waiting = f"{loop.input_wait_share:.0%} waiting for input"
        if self._progress.is_bar:
            short = waiting.removesuffix(" waiting for input")
            self._progress.update(loop.steps)
            self._progress.describe(
                f"loss {loop.loss:.3f}  {rate}  {clips}  input {short}  {left} left"
            )
            return
        added = "".join(
            f" + {name.replace('_', ' ')} {value:.4f}" for name, value in loop.added.items()
        )
        rates = "  ".join(
            f"{name.replace('_', ' ')} {value:.2e}" for name, value in loop.learning_rates.items()
        )
        self.note(
            f"step {loop.step}/{self._steps}  loss {loop.loss:.4f}{added}  {rates}  {rate}  {clips}  "
            f"{waiting}  {left} left"
        )

    def _pace(self, loop: Loop) -> float:
        """Returns the seconds per step over the whole run, without its first loop, in which TensorFlow traces."""
        if self._first is None:
            self._first = loop
            return loop.pace
        self._seconds += loop.seconds
        self._counted += loop.steps
        return self._seconds / self._counted

    def note(self, text: str) -> None:
        """Prints a line without breaking the bar."""
        self._progress.note(text)

    def close(self) -> None:
        """Ends the bar."""
        self._progress.close()
