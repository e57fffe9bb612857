"""Settings of what training minimises, and of the optimizer."""

from __future__ import annotations

import dataclasses

from official_vision.errors import UserError
from official_vision.specs.spec import Spec, setting


@dataclasses.dataclass(frozen=True)
class LossSpec(Spec):
    """The loss of training clips. Evaluation reports plain cross entropy, which all settings have in common.

    Where classes are unequally frequent: class_weights, logit_adjustment and the exponents act on the loss,
    DataSpec.class_sampling on the clips. Frequencies are those of the training videos.

    Attributes:
      label_smoothing: share of each target that is spread evenly over all classes.
      class_weights: factor of a class's labels: none, inverse_frequency, or effective_number, which stops growing
        for classes rarer than about 1 video in 1 / (1 - effective_number_beta).
      effective_number_beta: of class_weights = 'effective_number'.
      logit_adjustment: factor of the logarithm of a class's frequency, added to its logit in training alone: 1 makes
        predictions as if all classes were equally frequent, 0 adds nothing.
      positive_focus: exponent g by which a label counts (1 - p)^g times when its class has probability p: clips that
        are right already count less. With an equal negative_focus, the focal loss.
      negative_focus: exponent g by which a class that a clip lacks counts p^g times; of sigmoid alone. Greater than
        positive_focus, the asymmetric loss.
      negative_margin: probability up to which a class that a clip lacks costs nothing; of sigmoid alone.
      frame_share: share of the loss that is the mean of the frames' losses, each by its logits and the labels at its
        time; the rest is that of the clip's logits. 0 is none, as in the paper, and 1 is frames alone. For
        localisation, where labels have times.
      teacher: folder of a run on the same classes, whose best network's scores training clips are to match; empty for
        none. It is computed in each step.
      teacher_weight: share of the divergence from the teacher's scores in the loss; the rest is that of the labels.
      teacher_temperature: divisor of both networks' logits in that part: greater ones also teach which wrong classes
        are likelier.
    """

    label_smoothing: float = setting(0.0, low=0, high=0.99)
    class_weights: str = setting("none", choices=("none", "inverse_frequency", "effective_number"))
    effective_number_beta: float = setting(0.999, low=0, high=0.999999)
    logit_adjustment: float = setting(0.0, low=0)
    positive_focus: float = setting(0.0, low=0)
    negative_focus: float = setting(0.0, low=0)
    negative_margin: float = setting(0.0, low=0, high=0.5)
    frame_share: float = setting(0.0, low=0, high=1)
    teacher: str = ""
    teacher_weight: float = setting(0.5, above=0, high=1)
    teacher_temperature: float = setting(2.0, above=0)

    @property
    def reshapes_terms(self) -> bool:
        """Whether terms of the cross entropy are weighted by class or by probability."""
        exponents = (self.positive_focus, self.negative_focus, self.negative_margin)
        return self.class_weights != "none" or any(exponents)

    def check_suits(self, activation: str) -> None:
        """Refuses settings of sigmoid for softmax.

        Raises:
          UserError: one of them is set.
        """
        for name in ("negative_focus", "negative_margin"):
            if activation == "softmax" and getattr(self, name):
                raise UserError(
                    f"LossSpec.{name} is for classes that a clip lacks, which softmax has no term for. Received: "
                    f"{getattr(self, name):g} with one label per clip (softmax). Leave it at 0."
                )


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
