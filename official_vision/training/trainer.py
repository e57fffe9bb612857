"""Model Garden's trainer and checkpoint manager, which also measure time by activity."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras
from official.core import base_trainer, config_definitions
from official.modeling import optimization

from official_vision.training.devices import graph_passes
from official_vision.training.devices.strategies import shared_batches
from official_vision.training.observation import stopwatch as activities
from official_vision.training.observation.stopwatch import Stopwatch
from official_vision.training.optimizers.optimizer_state import make_state
from official_vision.training.optimizers.weight_averages import exchange_addon_averages
from official_vision.training.step.precise_batch_norm import recompute_statistics


class Trainer(base_trainer.Trainer):
    """The trainer of Model Garden with a stopwatch.

    Time spent waiting for input is taken inside the loop, which TensorFlow runs as one graph: the clock
    is read before a step requests its batch and when it arrives. On a CPU a step requests it when the step
    before has ended. To an accelerator steps are sent ahead: the figure is then an upper bound of the
    time in which it idles, and still near zero when input keeps up.
    """

    def __init__(self, *settings: Any, stopwatch: Stopwatch, compiled: bool = False, **others: Any):
        """Args:
        settings: of Model Garden's trainer.
        stopwatch: gets the seconds of loops and evaluations.
        compiled: XLA compiles each replica's step; not for TPUs, where that is so without it.
        others: of Model Garden's trainer.
        """
        self.stopwatch = stopwatch
        self._compiled = compiled
        self._began = 0.0
        self._is_measured = False  # the last step of the newest loop was
        self._precise_at = -1  # the step of the weights that statistics were recomputed with
        super().__init__(*settings, **others)
        if self.optimizer is not None:
            make_state(self.optimizer, self.task.trained)

    def train(self, num_steps: tf.Tensor) -> dict[str, Any]:
        """Takes steps; see Model Garden's trainer."""
        with graph_passes.left_out():
            return super().train(num_steps)

    def create_train_loop_fn(self) -> Callable[[Any, tf.Tensor], None]:
        """Returns what takes the steps of a loop, the last of which may be measured (step/update_norms.py)."""
        take_steps, norms = super().create_train_loop_fn(), self.task.norms
        if norms is None:
            return take_steps
        measured_step = tf.function(self.train_step, autograph=False)

        def take_steps_and_measure(iterator: Any, steps: tf.Tensor) -> None:
            begin = int(self.global_step.numpy())
            self._is_measured = norms.is_due(begin, begin + int(steps))
            if unmeasured := int(steps) - self._is_measured:
                take_steps(iterator, tf.constant(unmeasured, steps.dtype))
            if self._is_measured:
                with norms.measuring():
                    measured_step(iterator)

        return take_steps_and_measure

    def distribute_dataset(
        self,
        dataset_or_fn: Callable[..., tf.data.Dataset],
        params: config_definitions.DataConfig,
    ) -> Any:
        """Returns batches for the devices; see Model Garden's trainer."""
        return shared_batches(
            self.strategy, lambda context: dataset_or_fn(params, input_context=context)
        )

    # AutoGraph would read the source of all that a step calls: nothing there is a Python condition on a tensor.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, iterator: Any) -> None:
        """Takes one step on every replica; see Model Garden's trainer.

        Waiting for input, its clock and the mean of the losses are outside of what XLA compiles.
        """
        self.strategy.run(self._replica_step, args=(self.next_train_inputs(iterator),))

    def _replica_step(self, inputs: Any) -> None:
        step = functools.partial(
            self.task.train_step,
            model=self.model,
            optimizer=self.optimizer,
            metrics=self.train_metrics,
        )
        # Made here: a function that is lifted out of the replicas would be refused their all-reduce.
        if self._compiled:
            step = tf.function(step, jit_compile=True, autograph=False)
        self.train_loss.update_state(step(inputs)[self.task.loss])
        self.global_step.assign_add(1)

    @tf.autograph.experimental.do_not_convert
    def eval_step(self, iterator: Any) -> Any:
        """Scores one batch on every replica; see Model Garden's trainer."""
        return super().eval_step(iterator)

    def train_loop_begin(self) -> None:
        """Starts the clock of a loop."""
        super().train_loop_begin()
        self.stopwatch.waited.assign(0.0)
        self._began = time.monotonic()

    def next_train_inputs(self, iterator: Any) -> Any:
        """Fetches a batch and adds the time until it is there."""
        requested = self.stopwatch.now_in_steps()
        with tf.control_dependencies([requested]):
            inputs = super().next_train_inputs(iterator)
        with tf.control_dependencies(tf.nest.flatten(inputs, expand_composites=True)):
            arrived = self.stopwatch.now_in_steps()
        self.stopwatch.waited.assign_add(arrived - requested)
        return inputs

    def train_loop_end(self) -> dict[str, Any]:
        """Returns the loop's averages.

        Returns:
          training_loss (of clips alone), weight_decay and search_terms (what is minimised besides, at the loop's
          end, where it is), learning_rate, architecture_learning_rate where the architecture variables
          have a separate rate, gradient_norm/GROUP and update_ratio/GROUP of the last step where it was measured,
          seconds (of the loop, tracing included) and input_wait_share (0..1).
        """
        logs = super().train_loop_end()
        # Steps on an accelerator may still run: reading the loss waits for them.
        loss = float(logs[self.train_loss.name].numpy())
        seconds = time.monotonic() - self._began
        waited = min(float(self.stopwatch.waited.numpy()), seconds)
        self.stopwatch.add(activities.INPUT, waited)
        self.stopwatch.add(activities.TRAINING, seconds - waited)
        rate = getattr(_innermost(self.optimizer), "architecture_learning_rate", None)
        if rate is not None:
            rate = rate(self.optimizer.iterations) if callable(rate) else rate
            logs["architecture_learning_rate"] = rate
        return {
            **logs,
            self.train_loss.name: loss,
            **self.task.added_losses(int(self.global_step.numpy())),
            **(self.task.norms.figures() if self._is_measured else {}),
            "seconds": seconds,
            "input_wait_share": waited / max(seconds, 1e-9),
        }

    def eval_begin(self) -> None:
        """Starts the clock of an evaluation, which begins with precise statistics."""
        self.make_statistics_precise()
        self._began = time.monotonic()
        super().eval_begin()
        exchange_addon_averages(self.optimizer, self.model.trainable_variables)

    def make_statistics_precise(self) -> None:
        """Recomputes batch norm's statistics with the weights that are evaluated, once per step, where that is set.

        The batches are always the same ones: a run that repeats it continues as one that did not.
        """
        count, step = (
            self.task.config.train.precise_batch_norm_batches,
            int(self.global_step.numpy()),
        )
        if not count or self._precise_at == step:
            return
        began = time.monotonic()
        data = self.distribute_dataset(self.task.statistics_inputs, self.config.task.train_data)
        self.exchange_averages()
        recompute_statistics(self.model, itertools.islice(data, count), self._forward)
        self.exchange_averages()
        self._precise_at = step
        self.stopwatch.add(activities.EVALUATION, time.monotonic() - began)

    @tf.function(autograph=False)
    def _forward(self, inputs: Any) -> None:
        """Computes a batch for batch norm's statistics; averaged weights, if any, are in place by then."""
        self.strategy.run(lambda batch: self.model(batch[0], training=True), args=(inputs,))

    def exchange_averages(self) -> None:
        """Exchanges the weights with their averages, if a run has them; the second call undoes it."""
        if isinstance(self.optimizer, optimization.ExponentialMovingAverage):
            self.optimizer.swap_weights()
        exchange_addon_averages(self.optimizer, self.model.trainable_variables)

    def eval_end(self, aggregated_logs: Any = None) -> dict[str, Any]:
        """Returns the evaluation's figures; keeping the best checkpoint is part of its time."""
        logs = super().eval_end(aggregated_logs)
        exchange_addon_averages(self.optimizer, self.model.trainable_variables)
        self.stopwatch.add(activities.EVALUATION, time.monotonic() - self._began)
        return logs


class CheckpointManager(tf.train.CheckpointManager):
    """TensorFlow's manager with a stopwatch."""

    def __init__(self, *settings: Any, stopwatch: Stopwatch, **others: Any):
        """Args:
        settings: of TensorFlow's manager.
        stopwatch: gets the seconds of saving.
        others: of TensorFlow's manager.
        """
        super().__init__(*settings, **others)
        self._stopwatch = stopwatch

    def save(self, *settings: Any, **others: Any) -> str | None:
        """Saves a checkpoint and returns its path prefix; arguments as TensorFlow's."""
        with self._stopwatch.measuring(activities.CHECKPOINTS):
            return super().save(*settings, **others)


def _innermost(optimizer: tf_keras.optimizers.Optimizer) -> Any:
    """Returns the optimizer inside loss scaling and the moving average."""
    inner = getattr(optimizer, "inner_optimizer", None)
    return optimizer if inner is None else _innermost(inner)
