"""A network as one function of clips of a fixed size, which converters to other formats take."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from official_vision.modeling.network import AssembleNet
from official_vision.serving.export.description import DEFAULT_SIGNATURE
from official_vision.serving.export.held_out_clips import HeldOutClips
from official_vision.training.task import scores_of


class ClipFunction(tf.Module):
    """A network's scores of clips of a fixed number of frames and size.

    Attributes:
      specs: of the streams, in order.
      by_name: every stream by name -> scores [batch, classes] and frame_scores [batch, time, classes].
      of_arguments: the same, of the streams in the order of `specs`. Neither is traced yet: a converter needs one.
    """

    def __init__(self, model: AssembleNet, clips: HeldOutClips, batch: int | None = 1):
        """Args:
        model: of operations that the other format has.
        clips: of the streams, frames and size that the function takes.
        batch: clips per call; None leaves it free.
        """
        super().__init__()
        self.weights = model.variables
        activation = model.spec.activation

        def serve(**streams: tf.Tensor) -> dict[str, tf.Tensor]:
            outputs = model(streams, training=False)
            return {
                "scores": scores_of(outputs["logits"], activation),
                "frame_scores": scores_of(outputs["frame_logits"], activation),
            }

        self.specs = clip_specs(clips, batch)
        names = [spec.name for spec in self.specs]
        # Not named serve: of a module with that name the converter to TFLite takes one signature alone.
        self.by_name = tf.function(serve, autograph=False)
        self.of_arguments = tf.function(
            lambda *streams: serve(**dict(zip(names, streams, strict=True))), autograph=False
        )


def clip_specs(clips: HeldOutClips, batch: int | None = 1) -> list[tf.TensorSpec]:
    """Returns the streams of clips as a function takes them; a batch of None is free."""
    return [
        tf.TensorSpec([batch, *values.shape[1:]], values.dtype, name)
        for name, values in clips.clip(0).items()
    ]


def frames_of(clips: HeldOutClips) -> int:
    """Returns the number of frames of each clip."""
    return clip_specs(clips)[0].shape[1]


def signature_names(frames: Sequence[int]) -> dict[int, str]:
    """Returns the signatures of a file by their number of frames: serving_default where it has one number."""
    if len(frames) == 1:
        return {frames[0]: DEFAULT_SIGNATURE}
    return {number: f"frames_{number}" for number in frames}
