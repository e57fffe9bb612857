"""A training run: checks first, then Model Garden's trainer, resuming where the folder stands."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
import tf_keras
from official.core import train_lib

from official_vision import files
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.damage import damage_named
from official_vision.data.index import Index
from official_vision.data.input import read_index
from official_vision.errors import UserError, nearest
from official_vision.modeling.builder import resolve_architecture
from official_vision.modeling.inputs import streams_of
from official_vision.training import engine, folder
from official_vision.training.metrics import figure_names
from official_vision.training.optimization import make_optimizer
from official_vision.training.progress import TrainingProgress, clock
from official_vision.training.restore import BEST_FOLDER, step_of
from official_vision.training.strategies import make_strategy


def train(config: Config) -> folder.TrainingResult:
    """Trains until TrainSpec.steps, from the newest checkpoint of the run's folder where there is one.

    Args:
      config: every setting.

    Returns:
      What the run reached.

    Raises:
      UserError: settings that don't fit each other, the data or the folder; a loss that is not a number.
    """
    started = time.monotonic()
    model_dir = Path(_checked(config).train.model_dir)
    architecture = resolve_architecture(config.model)
    indexes = _read_indexes(config, architecture)
    folder.begin(model_dir, config, architecture, indexes)
    newest = tf.train.latest_checkpoint(str(model_dir))
    start_step = step_of(newest) if newest else 0
    progress = TrainingProgress(
        start_step, config.train.steps, config.train_data.batch_size, sys.stdout
    )
    if newest:
        progress.note(f"resuming {model_dir} at step {start_step} of {config.train.steps}")
    with engine.precision(config.train.precision):
        # A resumed run draws other dropout masks than its beginning did.
        tf_keras.utils.set_random_seed(config.train.seed + start_step)
        figures = _run(config, architecture, indexes, start_step, progress)
    best = _scalars(files.read_json(model_dir / BEST_FOLDER / "info.json"))
    result = folder.TrainingResult(config.train.steps, figures, best, time.monotonic() - started)
    folder.write_result(model_dir, result)
    return result


def _checked(config: Config) -> Config:
    train = config.train
    if not train.model_dir:
        raise UserError("TrainSpec.model_dir must be set. Received: ''. Name a folder for the run.")
    for name in ("validation_interval", "checkpoint_interval", "steps"):
        if getattr(train, name) % train.steps_per_loop:
            raise UserError(
                f"TrainSpec.{name} must be a multiple of TrainSpec.steps_per_loop = {train.steps_per_loop}. "
                f"Received: {getattr(train, name)}. Change one of them."
            )
    single_label = config.model.activation == "softmax"
    figures = (*figure_names(single_label=single_label), "validation_loss")
    if train.best_metric not in figures:
        raise UserError(
            f"TrainSpec.best_metric must be a figure of evaluation. Received: {train.best_metric!r}. "
            f"{nearest(train.best_metric, figures)}"
        )
    # Built once for its checks: a misspelt optimizer is refused before anything is written.
    batch_size = config.train_data.batch_size
    make_optimizer(config.optimizer, train, batch_size, config.architecture_optimizer)
    return config


def _read_indexes(config: Config, architecture: Architecture) -> dict[str, Index]:
    streams = streams_of(architecture, config.model)
    sections = {"train": config.train_data, "validation": config.validation_data}
    return {
        name: read_index(spec, streams, config.model.num_classes, name)
        for name, spec in sections.items()
    }


def _run(
    config: Config,
    architecture: Architecture,
    indexes: dict[str, Index],
    start_step: int,
    progress: TrainingProgress,
) -> Mapping[str, float]:
    experiment = engine.make_experiment(config)
    task = engine.TrainedTask(
        config, architecture, indexes, experiment.task, start_step, progress.note
    )
    strategy = make_strategy(config)
    figures: dict[str, float] = {}

    def on_evaluation(output: Mapping) -> None:
        figures.update(_scalars(output))
        progress.note(_evaluation_line(output))
        task.tell_skipped()

    with contextlib.ExitStack() as around:
        around.enter_context(engine.orbit_lines_in(Path(config.train.model_dir) / folder.LOG_FILE))
        around.enter_context(damage_named(config.train_data.path, indexes["train"]))
        around.enter_context(damage_named(config.validation_data.path, indexes["validation"]))
        runner = train_lib.OrbitExperimentRunner(
            distribution_strategy=strategy,
            task=task,
            mode="train_and_eval",
            params=experiment,
            model_dir=config.train.model_dir,
            train_actions=[
                lambda output: progress(output, int(runner.trainer.global_step.numpy()))
            ],
            eval_actions=[on_evaluation],
        )
        try:
            runner.run()
        except RuntimeError as error:
            # Model Garden's guard, which runs before the loop's checkpoint would be written.
            if "The loss value is" not in str(error):
                raise
            step = int(runner.trainer.global_step.numpy())
            raise UserError(
                f"The loss must stay a number. Received: {error} At step {step}. "
                "Lower OptimizerSpec.learning_rate or clip gradients; the last checkpoint is unharmed."
            ) from error
        finally:
            task.tell_skipped()
            progress.close()
        if not figures:  # an earlier run trained to the end and was stopped before its evaluation
            with strategy.scope():
                runner.controller.evaluate(steps=-1)
    return figures


def _scalars(output: Mapping) -> dict[str, float]:
    return {name: float(value) for name, value in output.items() if not isinstance(value, Mapping)}


def _evaluation_line(output: Mapping) -> str:
    figures = "  ".join(f"{name} {value:.4f}" for name, value in _scalars(output).items())
    return f"evaluated: {figures}"


def summary_line(result: folder.TrainingResult, metric: str) -> str:
    """One line on how a run ended."""
    return (
        f"trained to step {result.step} in {clock(result.seconds)}; best {metric} "
        f"{result.best[metric]:.4f} at step {result.best['best_ckpt_global_step']:.0f}"
    )
