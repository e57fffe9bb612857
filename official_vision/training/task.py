"""The Model Garden task: model, data, loss and exact metrics for its trainer."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from official.core import base_task, config_definitions

from official_vision.architecture.cost.connection_cost import ConnectionCosts, connection_costs
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.input.pipeline import build_dataset
from official_vision.data.storage.damaged_segments import Skipped
from official_vision.data.storage.index import Index
from official_vision.metrics.evaluation import Evaluation
from official_vision.metrics.scores import VideoScores, collect
from official_vision.modeling.builder import build_model
from official_vision.modeling.execution import Execution, training_execution
from official_vision.modeling.network import AssembleNet
from official_vision.training.checkpoints.restore import load_weights
from official_vision.training.cost_setting import setting_of
from official_vision.training.devices.compilation import is_compiled
from official_vision.training.optimizers.build import make_optimizer
from official_vision.training.resilience.step_monitor import StepMonitor
from official_vision.training.step.accumulation import Gradients, accumulate
from official_vision.training.step.bilevel import Side, check_sides, seen, split_sides
from official_vision.training.step.connection_latency import connection_latencies
from official_vision.training.step.connection_terms import ConnectionTerms
from official_vision.training.step.distillation import distillation_losses, load_teacher
from official_vision.training.step.frozen_weights import freeze
from official_vision.training.step.losses import (
    clip_losses,
    l2_penalty,
    make_clip_loss,
    mean_of_real,
    with_decay,
)
from official_vision.training.step.update_norms import UpdateNorms

GATHERED = ("logits", "labels", "mask", "video")  # what scores are made of


class VideoTask(base_task.Task):
    """Classification of clips: the work of one replica in a step."""

    def __init__(
        self,
        config: Config,
        architecture: Architecture,
        indexes: dict[str, Index],
        garden_config: config_definitions.TaskConfig,
        start_step: int = 0,
        note: Callable[[str], None] = print,
        monitor: StepMonitor | None = None,
        execution: Execution | None = None,
    ):
        """Args:
        config: every setting.
        architecture: the graph, as resolved from `config.model`.
        indexes: of the train and validation data.
        garden_config: Model Garden's view of the task.
        start_step: step at which training goes on: its data is passed over up to there.
        note: shows the user a line.
        monitor: watches steps and evaluations.
        execution: how the network computes; None takes training on this machine.
        """
        super().__init__(garden_config, name="video_classification")
        self.config = dataclasses.replace(config, model=config.model.with_numbers())
        self.architecture = architecture
        self.indexes = indexes
        self.start_step = start_step
        data = {"train": config.train_data, "validation": config.validation_data}
        self._skipped = {name: Skipped(data[name].path, index) for name, index in indexes.items()}
        self._clip_loss = make_clip_loss(config.loss, self.config.model, indexes.get("train"))
        self.evaluated: tuple[VideoScores, Evaluation] | None = None  # the newest
        self._note = note
        self._monitor = monitor
        self._execution = execution
        self._streams: tuple[str, ...] = ()
        self._teacher: AssembleNet | None = None
        self.trained: list[tf.Variable] = []  # the variables that are updated
        self.terms: ConnectionTerms | None = None  # what a search adds to the loss
        self._kernels: list[tf.Variable] = []
        self.norms: UpdateNorms | None = None  # measures some steps

    def build_model(self) -> tf_keras.Model:
        """Builds the network, frozen as TrainSpec says, and the terms that a search adds to its loss."""
        train, connectivity = self.config.train, self.config.connectivity
        if self._monitor:
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            batches = 2 if connectivity.updates == "bilevel" else 1  # that a step sees
            self._monitor.begin(batches * self.config.train_data.batch_size // replicas)
        execution = self._execution or training_execution(
            self.config.model, train.rematerialise, is_compiled(self.config.train)
        )
        model = build_model(self.config.model, self.architecture, execution)
        self._teacher = load_teacher(self.config.loss)
        of_teacher = self._teacher.streams if self._teacher else ()
        self._streams = tuple(dict.fromkeys((*model.streams, *of_teacher)))
        # Found by name, which inside a replica is another one.
        self.trained = freeze(model, train.frozen)
        if connectivity.updates == "bilevel":
            check_sides(self.trained)
        if train.norms_interval:
            period = train.norms_interval * train.steps_per_loop
            self.norms = UpdateNorms(self.trained, self.architecture, period)
        moving = {variable.ref() for variable in self.trained}
        self._kernels = [kernel for kernel in model.kernels() if kernel.ref() in moving]
        if connectivity.has_terms:
            self.terms = ConnectionTerms(model, connectivity, self._connection_costs())
        return model

    def _connection_costs(self) -> ConnectionCosts | None:
        """Returns what each connection costs, where a search's loss contains the expected cost."""
        config = self.config
        if not config.connectivity.cost_weight:
            return None
        setting = setting_of(config.model, config.train_data)
        if config.connectivity.cost == "latency":
            return connection_latencies(self.architecture, setting, config.train.model_dir)
        return connection_costs(self.architecture, setting)

    def create_optimizer(self, *_: object, **__: object) -> tf_keras.optimizers.Optimizer:
        """Makes the optimizer; Model Garden passes its settings, of which none are read."""
        config = self.config
        return make_optimizer(
            config.optimizer,
            config.train,
            config.train_data.batch_size,
            config.architecture_optimizer,
        )

    def initialize(self, model: tf_keras.Model) -> None:
        """Loads TrainSpec.init_checkpoint, when it is set and the run starts afresh."""
        train = self.config.train
        if train.init_checkpoint:
            for line in load_weights(
                model, train.init_checkpoint, classifier=train.init_classifier
            ):
                self._note(line)

    def build_inputs(
        self,
        params: config_definitions.DataConfig,
        input_context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Builds the batches of one input pipeline; `params.is_training` selects the split."""
        training = params.is_training
        split = "train" if training else "validation"
        build = functools.partial(
            build_dataset,
            self.config.train_data if training else self.config.validation_data,
            self.indexes[split],
            self._streams,
            training=training,
            input_context=input_context,
            start_step=self.start_step if training else 0,
            skipped=self._skipped[split],
            servers=self.config.train.input_servers if training else (),
            frame_labels=training and self.config.loss.frame_share > 0,
        )
        if training and self.config.connectivity.updates == "bilevel":
            batches = tf.data.Dataset.zip((build(half=0), build(half=1)))
        else:
            batches = build()
        if training and self._monitor:
            return self._monitor.without_skipped(batches, self.start_step)
        return batches

    def tell_skipped(self) -> None:
        """Notes the damaged segments that were skipped since the last call."""
        for skipped in self._skipped.values():
            for line in skipped.news():
                self._note(line)

    def statistics_inputs(
        self,
        params: config_definitions.DataConfig,
        input_context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Builds training batches for batch norm's statistics: the same ones after any resumption."""
        del params
        return build_dataset(
            self.config.train_data,
            self.indexes["train"],
            self._streams,
            training=True,
            input_context=input_context,
        )

    # AutoGraph would read the source of all that a step calls: nothing there depends on tensors' values.
    @tf.autograph.experimental.do_not_convert
    def train_step(
        self,
        inputs: tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]],
        model: tf_keras.Model,
        optimizer: tf_keras.optimizers.Optimizer,
        metrics: Any = None,
    ) -> dict[str, tf.Tensor]:
        """Computes one step of one replica.

        Args:
          inputs: (features, targets) of data/input/pipeline.py; of bilevel updates a pair of such, the first
            of which moves the network's weights and the second w and h.
          model: the network.
          optimizer: applies gradients summed over replicas.
          metrics: none are computed in training besides the loss.

        Returns:
          The clips' loss without what is minimised besides, a scalar; of bilevel updates that of the first batch.
        """
        del metrics
        if self.config.connectivity.updates == "bilevel":
            sides = split_sides(inputs, self.trained)
        else:
            sides = [Side(inputs, self.trained, has_terms=True)]
        pairs: list[tuple[tf.Tensor | None, tf.Variable]] = []
        losses = []
        for side in sides:
            loss, gradients = self._gradients(side, model, optimizer)
            losses.append(loss)
            pairs += zip(gradients, side.variables, strict=True)
        if self._monitor:
            # Loss scaling deals with gradients that overflow.
            is_scaled = self.config.train.precision == "mixed_float16"
            gradients = () if is_scaled else [gradient for gradient, _ in pairs]
            self._monitor.observe(tf.add_n(losses), gradients, seen(sides))
        if self.norms and self.norms.is_measuring:
            self.norms.apply(optimizer, pairs)
        else:
            optimizer.apply_gradients(pairs)
        return {self.loss: losses[0]}

    def _gradients(
        self,
        side: Side,
        model: tf_keras.Model,
        optimizer: tf_keras.optimizers.Optimizer,
    ) -> Gradients:
        """Returns the clips' loss of a batch, and the gradients of all that is minimised, unscaled."""
        parts = self.config.train.accumulation_steps
        clips = tf.reduce_sum(tf.cast(side.inputs[1]["mask"], tf.float32))
        scales_loss = isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer)

        def gradients_of(part: Any) -> Gradients:
            # Before the tape, which would keep what the teacher's layers compute.
            taught = inference_logits(self._teacher, part[0]) if self._teacher else None
            with tf.GradientTape() as tape:
                loss = total = self._loss(model, part, clips, taught)
                if side.has_terms and self.terms:
                    total += self.terms(optimizer.iterations) / parts
                # The optimizer sums over replicas; the mean over the global batch is wanted.
                scaled = total / tf.distribute.get_strategy().num_replicas_in_sync
                if scales_loss:
                    scaled = optimizer.get_scaled_loss(scaled)
            return loss, tape.gradient(scaled, side.variables)

        if parts == 1:
            loss, gradients = gradients_of(side.inputs)
        else:
            loss, gradients = accumulate(gradients_of, side.inputs, parts, side.variables)
        if scales_loss:
            gradients = optimizer.get_unscaled_gradients(gradients)
        if self._l2_decay:
            share = self._l2_decay / tf.distribute.get_strategy().num_replicas_in_sync
            gradients = with_decay(gradients, side.variables, self._kernels, share)
        return loss, gradients

    @property
    def _l2_decay(self) -> float:
        """Returns OptimizerSpec.weight_decay where it is part of the loss, else 0."""
        spec = self.config.optimizer
        return spec.weight_decay if spec.decay == "l2" and self._kernels else 0.0

    def _dropout_seeds(self, targets: dict[str, tf.Tensor]) -> tf.Tensor | None:
        """Returns seeds that make a clip's dropout the same with any number of replicas, and in a resumed run."""
        seeds = targets.get("dropout_seed")
        return None if seeds is None else seeds + self.config.train.seed

    def _loss(
        self, model: tf_keras.Model, part: Any, clips: tf.Tensor, taught: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns what a part of a batch adds to its loss.

        Args:
          model: the network.
          part: (features, targets).
          clips: real ones in the whole batch.
          taught: the teacher's logits, [batch, classes].
        """
        features, targets = part
        outputs = model(features, training=True, dropout_seeds=self._dropout_seeds(targets))
        losses = self._clip_loss.of_batch(outputs, targets)
        if taught is not None:
            spec, activation = self.config.loss, self.config.model.activation
            logits, temperature = outputs["logits"], spec.teacher_temperature
            apart = distillation_losses(logits, taught, activation, temperature)
            losses += spec.teacher_weight * (apart - losses)
        loss = mean_of_real(losses, targets["mask"])
        real = tf.reduce_sum(tf.cast(targets["mask"], tf.float32))
        return loss * tf.math.divide_no_nan(real, clips)

    def added_losses(self, step: int) -> dict[str, float]:
        """Returns the terms besides the clips' loss; only the latter is comparable with validation's.

        Args:
          step: steps that have been taken.

        Returns:
          weight_decay, the penalty of OptimizerSpec.decay = 'l2', and search_terms, each where there is one.
        """
        added = {}
        if self._l2_decay:
            added["weight_decay"] = float(l2_penalty(self._kernels, self._l2_decay))
        if self.terms:
            added["search_terms"] = float(self.terms(tf.constant(step)))
        return added

    def validation_step(
        self,
        inputs: tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]],
        model: tf_keras.Model,
        metrics: Any = None,
    ) -> dict[str, tf.Tensor]:
        """Scores one batch.

        Args:
          inputs: (features, targets) of data/input/pipeline.py.
          model: the network.
          metrics: none: figures come from all scores at the end.

        Returns:
          The losses [batch], the logits [batch, classes] and the targets, each of all replicas on all
          machines, whose batches are concatenated. No mean of a batch: the trainer would average
          batches that hold different numbers of real rows.
        """
        del metrics
        features, targets = inputs
        logits = inference_logits(model, features)
        losses = clip_losses(logits, targets["labels"], self.config.model.activation)
        return gather_replicas({"losses": losses, "logits": logits, **targets})

    def aggregate_logs(self, state: Any, step_logs: dict[str, tuple[tf.Tensor, ...]]) -> dict:
        """Stores each batch's scores on the host; every replica has gathered the rows of all."""
        if self._monitor:
            self._monitor.check_stop()
        state = state or {name: [] for name in ("losses", *GATHERED)}
        for name in state:
            state[name].append(np.asarray(step_logs[name][0]))
        return state

    def reduce_aggregated_logs(self, aggregated_logs: dict, global_step: Any = None) -> dict:
        """Computes exact figures over the whole split, validation_loss and each class's average precision.

        The figures are those of metrics/evaluation.py, of scores pooled as EvaluationSpec sets.
        """
        del global_step
        gathered = {name: np.concatenate(parts) for name, parts in aggregated_logs.items()}
        index = self.indexes["validation"]
        scores = collect(
            gathered,
            index.videos,
            index.classes,
            self.config.model.activation,
            training_counts=self.indexes["train"].class_counts,
        )
        pooled = scores.pooled(self.config.evaluation)
        evaluation = pooled.evaluation()
        self.evaluated = pooled, evaluation
        per_class = {row.name: row.average_precision for row in evaluation.classes if row.positives}
        # Without the penalty of weight decay: it is independent of the data.
        loss = float(np.mean(gathered["losses"][gathered["mask"] > 0]))
        return {**evaluation.figures, "validation_loss": loss, "average_precision": per_class}


def inference_logits(model: tf_keras.Model, features: dict[str, tf.Tensor]) -> tf.Tensor:
    """Returns float32 logits [batch, classes] at inference, which no clip's neighbours in the batch change."""
    logits = model(features, training=False, clip_by_clip=True)["logits"]
    return tf.cast(logits, tf.float32)


def gather_replicas(rows: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Concatenates all replicas' rows, those of other machines too; called within a replica."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return rows
    # Between machines only tensors that lie on a device are gathered; inputs lie on none yet.
    return context.all_gather(tf.nest.map_structure(tf.identity, rows), axis=0)


def scores_of(logits: tf.Tensor, activation: str) -> tf.Tensor:
    """Converts [batch, classes] logits to probabilities, by sigmoid or softmax."""
    return tf.sigmoid(logits) if activation == "sigmoid" else tf.nn.softmax(logits)
