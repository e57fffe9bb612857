"""The classifier (AssembleNet++ supplement, arXiv 2008.08072, A.3) of maps with a time axis."""

from __future__ import annotations

import tensorflow as tf

from official_vision.layers.clip_layer import ClipLayer, channels_of, register
from official_vision.modeling import head
from official_vision.modeling.ops import frame_layout
from official_vision.modeling.ops.layer import build_inside


@register
class ClassificationHead(ClipLayer):
    """Spatial average, dropout, logits of every frame, pooled over frames."""

    def __init__(
        self, num_classes: int, frame_pooling: str = "max", dropout_rate: float = 0.0, **kwargs
    ):
        """
        Args:
          num_classes: logits.
          frame_pooling: max, the paper's choice, mean, softmax or softmax_logits.
          dropout_rate: of the features, in training.
        """
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.frame_pooling = frame_pooling
        self.dropout_rate = dropout_rate

    def build(self, input_shape: tf.TensorShape) -> None:
        self.head = head.ClassificationHead(
            self.num_classes, self.frame_pooling, self.dropout_rate, name="head"
        )
        build_inside(self.head, tf.TensorShape([None, channels_of(input_shape)]))
        super().build(input_shape)

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Classifies clips.

        Args:
          x: [batch, time, height, width, channels].
          training: dropout is on.

        Returns:
          Logits, float32 [batch, classes].
        """
        frames = frame_layout.sizes(x)[1]
        return self.head(self.average(x), frames, training=training)["logits"]
