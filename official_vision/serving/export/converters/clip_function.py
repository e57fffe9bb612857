"""A network as one function of clips of a fixed size, which converters to other formats take."""

from __future__ import annotations

import tensorflow as tf

from official_vision.modeling.network import AssembleNet
from official_vision.serving.export.held_out_clips import HeldOutClips
from official_vision.training.task import scores_of


class ClipFunction(tf.Module):
    """A network's scores of clips of a fixed number of frames and size.

    Attributes:
      specs: of the streams, in order.
      serve: every stream by name -> scores [batch, classes] and frame_scores [batch, time, classes].
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

        self.specs = [
            tf.TensorSpec([batch, *values.shape[1:]], values.dtype, name)
            for name, values in clips.clip(0).items()
        ]
        names = [spec.name for spec in self.specs]
        self.serve = tf.function(serve, autograph=False)
        self.of_arguments = tf.function(
            lambda *streams: serve(**dict(zip(names, streams, strict=True))), autograph=False
        )
