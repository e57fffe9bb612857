"""Progress of a run on the screen: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Any, TextIO

import tensorflow as tf
from tqdm import tqdm


class TrainingProgress:
    """An Orbit action, called after every loop of steps with its averages."""

    def __init__(self, first_step: int, steps: int, batch_size: int, stream: TextIO):
        """Args:
        first_step: at which this run goes on.
        steps: at which it ends.
        batch_size: clips a step.
        stream: to write to; a terminal gets a bar.
        """
        self._batch_size = batch_size
        self._step = self._first = first_step
        self._steps = steps
        self._stream = stream
        self._last_time = self._start = time.monotonic()
        self._bar = None
        if stream.isatty():
            self._bar = tqdm(total=steps, initial=first_step, unit="step", file=stream)

    def __call__(self, output: dict[str, Any], step: int) -> None:
        """Reports a loop.

        Args:
          output: training_loss and learning_rate.
          step: reached now.
        """
        now = time.monotonic()
        rate = (step - self._step) / max(now - self._last_time, 1e-9)
        loss, learning_rate = (
            float(tf.convert_to_tensor(output[k])) for k in ("training_loss", "learning_rate")
        )
        advanced, self._step, self._last_time = step - self._step, step, now
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{loss:.3f}", clips=f"{rate * self._batch_size:.1f}/s")
            self._bar.update(advanced)
            return
        # The average over the whole run: evaluations and tracing are part of the time left.
        pace = (now - self._start) / max(step - self._first, 1)
        left = pace * (self._steps - step)
        print(
            f"step {step}/{self._steps}  loss {loss:.4f}  learning rate {learning_rate:.2e}  "
            f"{rate:.2f} steps/s  {rate * self._batch_size:.1f} clips/s  {clock(left)} left",
            file=self._stream,
            flush=True,
        )

    def note(self, text: str) -> None:
        """Prints a line without breaking the bar."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
