"""Makes Model Garden's optimizer of an OptimizerSpec."""

from __future__ import annotations

import dataclasses
import functools

import tf_keras
from official.modeling import optimization, performance
from official.modeling.optimization.configs.optimization_config import OptimizerConfig

from official_vision.errors import UserError, nearest
from official_vision.specs import OptimizerSpec, TrainSpec
from official_vision.training.optimizers import addons
from official_vision.training.optimizers.gradient_exchange import exchange_in_half_precision
from official_vision.training.optimizers.split_optimizer import SplitOptimizer
from official_vision.training.optimizers.weight_averages import ExactMovingAverage

LearningRateSchedule = tf_keras.optimizers.schedules.LearningRateSchedule
ADDONS_PREFIX = "tfa:"
# Decoupled decay is a feature of the optimizer; these exclude everything but kernels by variable name.
_NOT_KERNELS = ["gamma", "beta", "bias", "logits"]
_DECOUPLED = ("adamw", "lamb", "lars")
_STEPWISE_DROP = 0.1
# Settings that an optimizer of the architecture variables shares with the network's.
_OF_ALL_WEIGHTS = ("weight_decay", "decay", "gradient_clip_norm", "ema_decay")


def scaled_learning_rate(spec: OptimizerSpec, batch_size: int) -> float:
    """Returns the learning rate at `batch_size` clips per step, by the linear scaling rule (Goyal et al. 2017)."""
    if spec.reference_batch_size is None:
        return spec.learning_rate
    return spec.learning_rate * batch_size / spec.reference_batch_size


def make_optimizer(
    spec: OptimizerSpec,
    train: TrainSpec,
    batch_size: int,
    architecture: OptimizerSpec | None = None,
) -> tf_keras.optimizers.Optimizer:
    """Makes the optimizer with its schedule, clipping, moving average and loss scaling.

    Args:
      spec: how weights move.
      train: the run's length and precision.
      batch_size: clips per step over all devices.
      architecture: how connection strengths and peer logits move, where that differs; None or equal
        settings make one optimizer for all.

    Raises:
      UserError: an unknown name, or settings that the optimizer has no place for.
    """
    if spec.ema_decay is not None and train.precision == "mixed_float16":
        raise UserError(
            "OptimizerSpec.ema_decay works with float32 and mixed_bfloat16. "
            "Received: TrainSpec.precision = 'mixed_float16'. Leave one of them out."
        )
    if architecture is None or architecture == spec:
        optimizer = _one_optimizer(spec, train, batch_size)
    else:
        optimizer = _two_optimizers(spec, architecture, train, batch_size)
    if train.exchange_precision == "bfloat16":
        exchange_in_half_precision(getattr(optimizer, "inner_optimizer", optimizer))
    use_float16 = train.precision == "mixed_float16"
    return performance.configure_optimizer(
        optimizer, use_float16=use_float16, loss_scale="dynamic" if use_float16 else None
    )


def _one_optimizer(
    spec: OptimizerSpec, train: TrainSpec, batch_size: int
) -> tf_keras.optimizers.Optimizer:
    is_addon = spec.name.startswith(ADDONS_PREFIX)
    # Of an addon, Model Garden makes the schedule alone.
    garden = dataclasses.replace(spec, name="sgd", decay="l2") if is_addon else spec
    factory = optimization.OptimizerFactory(_config(garden, train.steps, batch_size))
    rate = factory.build_learning_rate()
    return _addon(spec, rate) if is_addon else _built(factory, rate, spec)


def _two_optimizers(
    spec: OptimizerSpec, architecture: OptimizerSpec, train: TrainSpec, batch_size: int
) -> tf_keras.optimizers.Optimizer:
    """Makes both optimizers, with clipping and the moving average around them; decay is only of kernels."""
    for name in _OF_ALL_WEIGHTS:
        if getattr(architecture, name) != getattr(spec, name):
            raise UserError(
                f"OptimizerSpec.{name} covers all weights together. Received: "
                f"{getattr(architecture, name)!r} for architecture/OptimizerSpec.{name}, else "
                f"{getattr(spec, name)!r}. Set OptimizerSpec.{name} alone."
            )
    alone = {"gradient_clip_norm": None, "ema_decay": None}
    specs = (
        dataclasses.replace(spec, **alone),
        dataclasses.replace(architecture, **alone, decay="l2"),
    )
    parts = [_one_optimizer(spec, train, batch_size) for spec in specs]
    optimizer = SplitOptimizer(*parts, spec.gradient_clip_norm)
    if spec.ema_decay is None:
        return optimizer
    return ExactMovingAverage(optimizer, spec.ema_decay)


def _built(
    factory: optimization.OptimizerFactory, rate: float | LearningRateSchedule, spec: OptimizerSpec
) -> tf_keras.optimizers.Optimizer:
    try:
        optimizer = factory.build_optimizer(rate)
    except (TypeError, ValueError) as error:  # some of those it lists do not fit this TensorFlow
        raise UserError(
            f"OptimizerSpec.name must be an optimizer that Model Garden can make. Received: {spec.name!r} "
            f"({str(error).splitlines()[0]}). Choose another, e.g. sgd or adamw."
        ) from error
    if spec.ema_decay is None:
        return optimizer
    if not isinstance(optimizer, tf_keras.optimizers.legacy.Optimizer):
        raise UserError(
            "OptimizerSpec.ema_decay works with Keras's legacy optimizers. "
            f"Received: {spec.ema_decay} with name {spec.name!r}. Name one without _experimental."
        )
    return ExactMovingAverage(optimizer, spec.ema_decay)


def _checked_name(name: str) -> str:
    known = {field.name for field in dataclasses.fields(OptimizerConfig)} - {"type"}
    if name not in known:
        raise UserError(
            f"OptimizerSpec.name must be an optimizer of Model Garden, or 'tfa:Class'. "
            f"Received: {name!r}. {nearest(name, known)}"
        )
    return name


# A run makes its optimizer three times: for checks, for the memory that it takes, and to train. Model Garden
# makes every optimizer's settings, half a second's work, to have those of one.
@functools.lru_cache(maxsize=8)
def _config(spec: OptimizerSpec, steps: int, batch_size: int) -> optimization.OptimizationConfig:
    name = _checked_name(spec.name)
    if spec.warmup_steps >= steps:
        raise UserError(
            "OptimizerSpec.warmup_steps must end within TrainSpec.steps. "
            f"Received: {spec.warmup_steps} of {steps}. Make the warm-up shorter, or train for longer."
        )
    settings = {
        "optimizer": {"type": name, name: _optimizer_settings(spec, name)},
        "learning_rate": _schedule(spec, steps, scaled_learning_rate(spec, batch_size)),
    }
    if spec.warmup_steps:
        settings["warmup"] = {
            "type": "linear",
            "linear": {"warmup_steps": spec.warmup_steps, "warmup_learning_rate": 0.0},
        }
    return optimization.OptimizationConfig(settings)


def _optimizer_settings(spec: OptimizerSpec, name: str) -> dict:
    known = getattr(OptimizerConfig(), name).as_dict()
    settings = {"global_clipnorm": spec.gradient_clip_norm}
    if "momentum" in known:
        settings["momentum"] = spec.momentum
    if name == "adamw":
        # The optimizer's clipping comes before replicas are summed, and not at all where losses are scaled.
        settings["gradient_clip_norm"] = 0.0
    if spec.decay == "decoupled":
        if name not in _DECOUPLED:
            raise UserError(
                f"OptimizerSpec.decay = 'decoupled' needs one of {', '.join(_DECOUPLED)}. "
                f"Received: OptimizerSpec.name = {name!r}. Choose one of them, or decay = 'l2'."
            )
        settings |= {
            "weight_decay_rate": spec.weight_decay,
            "exclude_from_weight_decay": _NOT_KERNELS,
        }
    return settings


def _schedule(spec: OptimizerSpec, steps: int, rate: float) -> dict:
    if spec.schedule == "constant":
        # Not a plain number: that would be a variable, which a resumed run restores, whatever the
        # settings say now.
        flat = {"initial_learning_rate": rate, "end_learning_rate": rate, "decay_steps": steps}
        return {"type": "polynomial", "polynomial": flat}
    if spec.schedule == "cosine":
        cosine = {"initial_learning_rate": rate, "decay_steps": steps}
        return {"type": "cosine", "cosine": cosine}
    if not spec.boundaries or list(spec.boundaries) != sorted(set(spec.boundaries)):
        raise UserError(
            "OptimizerSpec.boundaries must be rising steps for schedule 'stepwise'. "
            f"Received: {spec.boundaries}. Name the steps at which the rate drops."
        )
    values = [rate * _STEPWISE_DROP**drops for drops in range(len(spec.boundaries) + 1)]
    return {"type": "stepwise", "stepwise": {"boundaries": list(spec.boundaries), "values": values}}


def _addon(
    spec: OptimizerSpec, rate: float | LearningRateSchedule
) -> tf_keras.optimizers.Optimizer:
    if spec.ema_decay is not None:
        raise UserError(
            "OptimizerSpec.ema_decay works with Model Garden's optimizers. "
            f"Received: {spec.ema_decay} with name {spec.name!r}. Leave one of them out."
        )
    decay = spec.weight_decay if spec.decay == "decoupled" else 0.0
    settings = {
        "learning_rate": rate,
        "momentum": spec.momentum,
        "weight_decay": decay,
        "exclude_from_weight_decay": _NOT_KERNELS,
    }
    if spec.gradient_clip_norm is not None:
        raise UserError(
            "OptimizerSpec.gradient_clip_norm works with Model Garden's optimizers. "
            f"Received: {spec.gradient_clip_norm} with name {spec.name!r}. Leave one of them out."
        )
    return addons.make_optimizer(spec.name.removeprefix(ADDONS_PREFIX), settings)
