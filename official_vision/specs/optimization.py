"""Settings of an optimizer."""

from __future__ import annotations

import dataclasses

from official_vision.specs.spec import Spec, setting


@dataclasses.dataclass(frozen=True)
class OptimizerSpec(Spec):
    """The optimizer of the weights, made by Model Garden's optimizer factory.

    gin scope architecture/ sets what moves connection strengths w and peer logits h alone, which then
    have a separate optimizer, rate and schedule; unscoped settings are for all weights. Weight
    decay, clipping and the moving average cover all weights together, and take no scope.

    Attributes:
      name: an optimizer of Model Garden (sgd, adamw_experimental, lars, ...) or, written
        tfa:ClassName, of tensorflow-addons.
      learning_rate: learning rate at the reference batch size, after warm-up.
      reference_batch_size: the rate is scaled by batch_size / this (linear scaling); None does not scale.
      schedule: cosine, constant, or stepwise (x 0.1 at each of `boundaries`).
      boundaries: steps at which stepwise drops.
      warmup_steps: linear warm-up from zero; fewer than TrainSpec.steps.
      momentum: momentum of sgd and lars.
      weight_decay: weight decay of convolution and dense kernels only.
      decay: l2 adds the penalty to the loss; decoupled shrinks weights beside the gradient step
        (tensorflow-addons' by weight_decay itself, not times the learning rate).
      gradient_clip_norm: global norm to clip at; None does not clip.
      ema_decay: moving average of the weights, evaluated and exported in their place; None for no average.
    """

    name: str = "sgd"
    learning_rate: float = setting(0.1, above=0)
    reference_batch_size: int | None = setting(None, low=1)
    schedule: str = setting("cosine", choices=("cosine", "constant", "stepwise"))
    boundaries: tuple[int, ...] = setting((), low=1)
    warmup_steps: int = setting(0, low=0)
    momentum: float = setting(0.9, low=0, high=1)
    weight_decay: float = setting(1e-4, low=0)
    decay: str = setting("l2", choices=("l2", "decoupled"))
    gradient_clip_norm: float | None = setting(None, above=0)
    ema_decay: float | None = setting(None, above=0, high=1)
