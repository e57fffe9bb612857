"""Lines about a run's loss and learning rates before the first step, which explain its figures."""

from __future__ import annotations

from official_vision.config import Config
from official_vision.specs import OptimizerSpec
from official_vision.training.optimizers.build import scaled_learning_rate


def first_lines(config: Config) -> list[str]:
    """Returns a line for each learning rate, and one that defines the loss."""
    rates = [f"learning rate: {rate_line(config.optimizer, config.train_data.batch_size)}"]
    if config.architecture_optimizer != config.optimizer:
        line = rate_line(config.architecture_optimizer, config.train_data.batch_size)
        rates.append(f"learning rate of strengths and peers: architecture/{line}")
    return [*rates, _loss_line(config)]


def rate_line(spec: OptimizerSpec, batch_size: int) -> str:
    """Names the base learning rate, the one it is scaled to, and its schedule."""
    line = f"OptimizerSpec.learning_rate {spec.learning_rate:g}"
    if spec.reference_batch_size is None:
        line += ", for any batch size"
    else:
        scaled = scaled_learning_rate(spec, batch_size)
        line += f" for {spec.reference_batch_size} clips per step, scaled to {scaled:g} for {batch_size}"
    warmup = f" after {spec.warmup_steps} steps of warm-up" if spec.warmup_steps else ""
    return f"{line}; {spec.schedule}{warmup}"


def _loss_line(config: Config) -> str:
    of_clips = ", ".join(_loss_settings(config))
    beside = []
    if config.optimizer.decay == "l2" and config.optimizer.weight_decay:
        beside.append(f"weight decay ({config.optimizer.weight_decay:g} / 2 of squared kernels)")
    if config.connectivity.has_terms:
        beside.append("search terms")
    line = f"loss: cross entropy of training clips{of_clips and f' with {of_clips}'}; validation_loss: "
    line += "plain, of validation clips" if of_clips else "of validation clips"
    return f"{line}. Minimised besides: {' and '.join(beside)}" if beside else line


def _loss_settings(config: Config) -> list[str]:
    """Returns what makes the training clips' loss another than the cross entropy of single clips."""
    loss, data = config.loss, config.train_data
    numbers = (
        ("label smoothing", loss.label_smoothing),
        ("logit adjustment", loss.logit_adjustment),
        ("positive focus", loss.positive_focus),
        ("negative focus", loss.negative_focus),
        ("negative margin", loss.negative_margin),
        ("share of frames", loss.frame_share),
        ("mixup", data.mixup_alpha),
        ("cutmix", data.cutmix_alpha),
    )
    changed = [f"{name} {value:g}" for name, value in numbers if value]
    if loss.class_weights != "none":
        changed.append(f"class weights by {loss.class_weights.replace('_', ' ')}")
    if loss.teacher:
        changed.append(
            f"{loss.teacher_weight:g} of it from {loss.teacher}'s scores at temperature {loss.teacher_temperature:g}"
        )
    if data.class_sampling != "natural":
        changed.append(f"{data.class_sampling.replace('_', ' ')} sampling of classes")
    return changed
