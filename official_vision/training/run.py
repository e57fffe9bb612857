"""A training run: checks first, then Model Garden's trainer, resuming where the folder stands."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import tensorflow as tf
import tf_keras
from official.common import distribute_utils
from official.core import config_definitions, train_lib

from official_vision import config as configuration
from official_vision import files
from official_vision.architecture.formats import from_json, save_architecture, to_json
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.damage import damage_named
from official_vision.data.index import Index
from official_vision.data.input import read_index
from official_vision.errors import UserError, nearest
from official_vision.modeling.builder import resolve_architecture
from official_vision.modeling.inputs import streams_of
from official_vision.training.metrics import figure_names
from official_vision.training.optimization import make_optimizer
from official_vision.training.progress import TrainingProgress, clock
from official_vision.training.restore import ARCHITECTURE_FILE, BEST_FOLDER, step_of
from official_vision.training.task import VideoTask

LOG_FILE = "train.log"
RESULT_FILE = "result.json"  # its presence says that the run has come to its end
# Settings whose change makes a resumed run another run.
_FIXED_SECTIONS = ("model",)


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """How a run ended: the last evaluation's figures, the best one's, and its wall time."""

    step: int
    figures: Mapping[str, float]
    best: Mapping[str, float]
    seconds: float


def train(config: Config) -> TrainingResult:
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
    _check_folder(model_dir, config, architecture, indexes)
    config.save(model_dir, {name: index.fingerprint for name, index in indexes.items()})
    save_architecture(architecture, model_dir / ARCHITECTURE_FILE)
    newest = tf.train.latest_checkpoint(str(model_dir))
    start_step = step_of(newest) if newest else 0
    progress = TrainingProgress(
        start_step, config.train.steps, config.train_data.batch_size, sys.stdout
    )
    if newest:
        progress.note(f"resuming {model_dir} at step {start_step} of {config.train.steps}")
    with _precision(config.train.precision):
        # A resumed run draws other dropout masks than its beginning did.
        tf_keras.utils.set_random_seed(config.train.seed + start_step)
        figures = _run(config, architecture, indexes, start_step, progress)
    best = _scalars(files.read_json(model_dir / BEST_FOLDER / "info.json"))
    result = TrainingResult(config.train.steps, figures, best, time.monotonic() - started)
    files.write_json(model_dir / RESULT_FILE, _without_nan(dataclasses.asdict(result)))
    return result


def make_strategy(config: Config) -> tf.distribute.Strategy:
    """Returns the tf.distribute strategy that TrainSpec names.

    Without GPUs, mirrored takes all logical CPU devices.
    """
    train = config.train
    if train.strategy == "mirrored" and not train.num_gpus:
        return tf.distribute.MirroredStrategy(
            [d.name for d in tf.config.list_logical_devices("CPU")]
        )
    return distribute_utils.get_distribution_strategy(
        train.strategy, num_gpus=train.num_gpus, tpu_address=train.tpu or None
    )


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
    make_optimizer(config.optimizer, train, config.train_data.batch_size)
    return config


def _read_indexes(config: Config, architecture: Architecture) -> dict[str, Index]:
    streams = streams_of(architecture, config.model)
    sections = {"train": config.train_data, "validation": config.validation_data}
    return {
        name: read_index(spec, streams, config.model.num_classes, name)
        for name, spec in sections.items()
    }


def _check_folder(
    model_dir: Path, config: Config, architecture: Architecture, indexes: Mapping[str, Index]
) -> None:
    """Refuses to go on in a folder that another architecture or data set has made."""
    if not (model_dir / configuration.CONFIG_JSON).is_file():
        return
    record = configuration.read_record(model_dir)
    differences = [
        f"{section}.{name} was {record['config'][section].get(name)!r}, is {value!r}"
        for section in _FIXED_SECTIONS
        for name, value in config.to_dict()[section].items()
        if record["config"][section].get(name) != value
    ]
    architecture_path = model_dir / ARCHITECTURE_FILE
    if architecture_path.is_file():
        saved = from_json(architecture_path.read_text(encoding="utf-8"), str(architecture_path))
        if to_json(saved) != to_json(architecture):
            differences.append(f"the architecture was {saved.name!r}, is {architecture.name!r}")
    differences += [
        f"the {name} data has another fingerprint"
        for name, index in indexes.items()
        if record["data_fingerprints"].get(name, index.fingerprint) != index.fingerprint
    ]
    if differences:
        raise UserError(
            f"A run goes on with the model and data it began with. Received: {model_dir}, in which "
            f"{'; '.join(differences)}. Choose another TrainSpec.model_dir or the old settings."
        )


@contextlib.contextmanager
def _precision(name: str) -> Iterator[None]:
    """Keras's global policy for the time of training: networks built later keep their own."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def _experiment(config: Config) -> config_definitions.ExperimentConfig:
    """Model Garden's view of the run."""
    train = config.train
    task = config_definitions.TaskConfig(
        train_data=config_definitions.DataConfig(is_training=True),
        validation_data=config_definitions.DataConfig(is_training=False),
    )
    trainer = config_definitions.TrainerConfig(
        train_steps=train.steps,
        steps_per_loop=train.steps_per_loop,
        summary_interval=train.steps_per_loop,
        checkpoint_interval=train.checkpoint_interval,
        validation_interval=train.validation_interval,
        max_to_keep=train.checkpoints_kept,
        best_checkpoint_export_subdir=BEST_FOLDER,
        best_checkpoint_eval_metric=train.best_metric,
        best_checkpoint_metric_comp="lower" if "loss" in train.best_metric else "higher",
    )
    return config_definitions.ExperimentConfig(task=task, trainer=trainer)


class _Task(VideoTask):
    """The task with its optimizer, which Model Garden's trainer asks the task's class for."""

    def create_optimizer(self, *_: object, **__: object) -> tf_keras.optimizers.Optimizer:
        config = self.config
        return make_optimizer(config.optimizer, config.train, config.train_data.batch_size)


def _run(
    config: Config,
    architecture: Architecture,
    indexes: dict[str, Index],
    start_step: int,
    progress: TrainingProgress,
) -> Mapping[str, float]:
    experiment = _experiment(config)
    task = _Task(config, architecture, indexes, experiment.task, start_step, progress.note)
    strategy = make_strategy(config)
    figures: dict[str, float] = {}

    def on_evaluation(output: Mapping) -> None:
        figures.update(_scalars(output))
        progress.note(_evaluation_line(output))

    with contextlib.ExitStack() as around:
        around.enter_context(_orbit_lines_in(Path(config.train.model_dir) / LOG_FILE))
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
            progress.close()
        if not figures:  # an earlier run trained to the end and was stopped before its evaluation
            with strategy.scope():
                runner.controller.evaluate(steps=-1)
    return figures


def _scalars(output: Mapping) -> dict[str, float]:
    return {name: float(value) for name, value in output.items() if not isinstance(value, Mapping)}


def _without_nan(value: object) -> object:
    """JSON has no NaN, which mAP is when no video has a label."""
    if isinstance(value, Mapping):
        return {name: _without_nan(item) for name, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _evaluation_line(output: Mapping) -> str:
    figures = "  ".join(f"{name} {value:.4f}" for name, value in _scalars(output).items())
    return f"evaluated: {figures}"


@contextlib.contextmanager
def _orbit_lines_in(path: Path) -> Iterator[None]:
    """Sends what Orbit prints to a log file, so that the screen shows progress alone."""
    with open(path, "a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        yield


def summary_line(result: TrainingResult, metric: str) -> str:
    """One line on how a run ended."""
    return (
        f"trained to step {result.step} in {clock(result.seconds)}; best {metric} "
        f"{result.best[metric]:.4f} at step {result.best['best_ckpt_global_step']:.0f}"
    )
