"""Orbit's controller, with loops, checkpoints and evaluations at multiples of their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import orbit
from official.core import config_definitions

from official_vision import formats
from official_vision.errors import StoppedError
from official_vision.metrics.figures import scalars, with_nan, without_nan
from official_vision.training.checkpoints.checkpoint_files import full_disk_named
from official_vision.training.optimizers.hyperparameters import settings_preserved
from official_vision.training.resilience.stop_signals import StopRequest

EVALUATED_FILE = "evaluated.json"  # step and figures of the newest evaluation


class Controller(orbit.Controller):
    """Trains and evaluates so that a run that was stopped anywhere goes on as if undisturbed.

    Orbit counts its intervals from where it starts, and saves after its first loop. Here loops,
    checkpoints and evaluations end at multiples of their intervals and at the last step, and an
    evaluation that a killed run owes is made up for. The checkpoint manager has no interval of its
    own: without one, Orbit saves nothing by itself.
    """

    def __init__(
        self,
        *,
        resume_from: str | None,
        records: Path,
        trainer_config: config_definitions.TrainerConfig,
        stop: StopRequest,
        on_saved: Callable[[], None] = lambda: None,
        is_over: Callable[[], bool] = lambda: False,
        **settings: object,
    ):
        """Args:
        resume_from: checkpoint to go on from; None starts afresh.
        records: folder whose records show the last evaluation.
        trainer_config: steps and intervals.
        stop: ends the run after a loop, once all processes know of it.
        on_saved: called when a checkpoint was saved.
        is_over: called after each evaluation, and where a run resumes at one: whether training ends here.
        settings: of orbit.Controller.
        """
        self._on_saved, self._is_over = on_saved, is_over
        self._resume_from = resume_from
        self._records = records
        self._config = trainer_config
        self._stop = stop
        self._saved_step: int | None = None
        super().__init__(**settings)

    @property
    def steps_per_loop(self) -> int:
        """Returns the steps to the next multiple of the interval of loops, or of checkpoints where that is nearer."""
        intervals = (self._config.steps_per_loop, self._config.checkpoint_interval)
        return min(interval - self._step() % interval for interval in intervals)

    def restore_checkpoint(self, checkpoint_path: str | None = None) -> str | None:
        """Restores the checkpoint to go on from, on every worker; without one, initialises.

        Model Garden's workers keep checkpoints in separate folders, where only the first would
        find what the run has saved.
        """
        path = checkpoint_path or self._resume_from
        with self.strategy.scope():
            if path:
                with settings_preserved(self.trainer.optimizer):
                    self.checkpoint_manager.checkpoint.restore(path)
                self._saved_step = self._step()
            else:
                self.trainer.initialize()
        return path

    def train_and_evaluate(
        self, train_steps: int, eval_steps: int = -1, eval_interval: int | None = None
    ) -> Mapping[str, float]:
        """Trains to `train_steps` or until it is over; evaluates at every multiple of `eval_interval` and at the end.

        Returns:
          The last evaluation's figures.
        """
        interval = eval_interval or train_steps
        step, figures = self._evaluated(train_steps)
        while True:
            now = self._step()
            if now != step and now and self._is_evaluated(now):
                step, figures = now, self._evaluate_and_note(now, eval_steps)
            if now >= train_steps:
                return figures
            if now == step and self._is_over():
                self.save_checkpoint()
                return figures or self._evaluate_and_note(step, eval_steps)
            self.train(min(train_steps, now - now % interval + interval), False)

    def _evaluate_and_note(self, step: int, eval_steps: int) -> Mapping[str, float]:
        """Evaluates the weights of this step, and records it with their figures."""
        figures = scalars(self.evaluate(eval_steps))
        self._note_evaluated(step, figures)
        return figures

    def evaluate(self, steps: int = -1) -> Mapping:
        """Evaluates; if the run is stopped meanwhile, saves the weights as training left them."""
        try:
            return super().evaluate(steps)
        except StoppedError:
            with self.strategy.scope():
                self.trainer.exchange_averages()
            self._leave()

    def train(self, steps: int, checkpoint_at_completion: bool = True) -> None:
        """Trains to the step `steps`, and saves checkpoints that are due on the way.

        Args:
          steps: to end at.
          checkpoint_at_completion: saves one there, due or not.

        Raises:
          StoppedError: the run is to stop, and a checkpoint was saved.
        """
        while (now := self._step()) < steps:
            super().train(min(steps, now + self.steps_per_loop), checkpoint_at_completion=False)
            if self._stop.agreed:
                self._leave()
            if self._is_evaluated(self._step()):
                # Before the checkpoint: so the last one has what is evaluated, and a run that goes on from it too.
                with self.strategy.scope():
                    self.trainer.make_statistics_precise()
            if self._is_checkpoint_due():
                self.save_checkpoint()
        if checkpoint_at_completion:
            self.save_checkpoint()

    def save_checkpoint(self) -> None:
        """Saves a checkpoint, unless there is one of this step."""
        step = self._step()
        if step == self._saved_step:
            return
        with full_disk_named(self._records):
            self.checkpoint_manager.save(checkpoint_number=step, check_interval=False)
        self._saved_step = step
        self._on_saved()

    def _is_checkpoint_due(self) -> bool:
        step = self._step()
        return step % self._config.checkpoint_interval == 0 or step >= self._config.train_steps

    def _is_evaluated(self, step: int) -> bool:
        return step % self._config.validation_interval == 0 or step >= self._config.train_steps

    def _leave(self) -> None:
        self.save_checkpoint()
        raise StoppedError(
            f"{self._records} is saved at step {self._step()} of {self._config.train_steps}; "
            "run the same command to go on.",
            by_user=self._stop.by_user,
        )

    def _step(self) -> int:
        return int(self.global_step.numpy())

    def _evaluated(self, train_steps: int) -> tuple[int, Mapping[str, float]]:
        """Returns step and figures of the newest evaluation, if it is of the current weights."""
        path, now = self._records / EVALUATED_FILE, self._step()
        if not path.is_file():
            return -1, {}
        record = formats.EVALUATED.read(path, {"step": int, "figures": dict})
        if (
            record["step"] > now
        ):  # the run was killed between that evaluation and its next checkpoint
            return (now, {}) if now < train_steps else (-1, {})
        return int(record["step"]), with_nan(record["figures"])

    def _note_evaluated(self, step: int, figures: Mapping[str, float]) -> None:
        record = {"step": step, "figures": without_nan(figures)}
        formats.EVALUATED.write(self._records / EVALUATED_FILE, record)
