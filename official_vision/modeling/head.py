"""The classifier: logits for every frame of the last blocks, pooled over time (supplement A.3)."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from official_vision.modeling.ops import frame_layout as time_axis
from official_vision.modeling.ops.layer import Layer, build_inside, build_path, register

FRAME_POOLINGS = ("max", "mean", "softmax", "softmax_logits")


@register
class ClassificationHead(Layer):
    """Spatial average -> dropout -> FC logits for every frame -> pooled over frames.

    max      the greatest logit of any frame, class by class: the paper's choice (A.3)
    mean     the logits of the mean feature; better under 32 frames
    softmax  logits weighted by a softmax over frames, whose scores another FC gives
    softmax_logits  each class's logits weighted by a softmax over frames of logits / sqrt(frames), without
             weights to learn: the authors' code in place of the maximum
    """

    def __init__(
        self,
        num_classes: int,
        frame_pooling: str = "max",
        dropout_rate: float = 0.0,
        hidden_channels: int = 0,
        **kwargs,
    ):
        """Args:
        num_classes: logits.
        frame_pooling: max, mean, softmax or softmax_logits.
        dropout_rate: of the features, in training.
        hidden_channels: width of a fully connected layer with ReLU before the classifier, as the
          -lite network has; 0 for none.

        Raises:
          ValueError: an unknown frame pooling.
        """
        super().__init__(**kwargs)
        if frame_pooling not in FRAME_POOLINGS:
            raise ValueError(
                f"Frames are pooled by one of {', '.join(FRAME_POOLINGS)}. Received: {frame_pooling!r}."
            )
        self.num_classes = num_classes
        self.frame_pooling = frame_pooling
        self.dropout_rate = dropout_rate
        self.hidden_channels = hidden_channels
        self.dropout = tf_keras.layers.Dropout(dropout_rate, name="dropout")
        self.classifier = tf_keras.layers.Dense(num_classes, name="classifier")
        if hidden_channels:
            self.hidden = tf_keras.layers.Dense(
                hidden_channels, "relu", use_bias=False, name="hidden"
            )
        if frame_pooling == "softmax":
            self.attention = tf_keras.layers.Dense(1, name="attention")

    def build(self, input_shape: tf.TensorShape) -> None:
        features = tf.TensorShape(input_shape)
        if self.hidden_channels:
            features = build_path(features, self.hidden)
        build_inside(self.classifier, features)
        if self.frame_pooling == "softmax":
            build_inside(self.attention, features)
        super().build(input_shape)

    def call(
        self,
        average: tf.Tensor,
        frames: int | tf.Tensor,
        training: bool | None = None,
        dropout_seeds: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Classifies clips.

        Args:
          average: spatial average of the last block, [batch * time, channels].
          frames: time, a scalar.
          training: dropout is on.
          dropout_seeds: int32 [batch, 2]; each clip's features are dropped by that clip's seed, whatever
            its batch, replica or run. None draws from TensorFlow's state, which no checkpoint keeps.

        Returns:
          logits, float32 [batch, num_classes], and frame_logits, float32 [batch, time, num_classes].
        """
        features = self.hidden(average) if self.hidden_channels else average
        if dropout_seeds is None or not training or not self.dropout_rate:
            features = time_axis.split_time(self.dropout(features, training=training), frames)
        else:
            features = self._dropped(time_axis.split_time(features, frames), dropout_seeds)
        frame_logits = tf.cast(self.classifier(features), tf.float32)
        return {"logits": self._pool(features, frame_logits), "frame_logits": frame_logits}

    def _dropped(self, features: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Sets random features of [batch, time, channels] to 0, clip by clip, and scales the others up."""
        return tf.map_fn(
            lambda clip: tf.nn.experimental.stateless_dropout(clip[0], self.dropout_rate, clip[1]),
            (features, seeds),
            fn_output_signature=tf.TensorSpec(features.shape[1:], features.dtype),
        )

    def _pool(self, features: tf.Tensor, frame_logits: tf.Tensor) -> tf.Tensor:
        if self.frame_pooling == "max":
            return tf.reduce_max(frame_logits, axis=1)
        if self.frame_pooling == "mean":
            # The classifier is affine: logits of the mean feature are the mean of the logits.
            return tf.reduce_mean(frame_logits, axis=1)
        if self.frame_pooling == "softmax_logits":
            frames = tf.cast(tf.shape(frame_logits)[1], tf.float32)
            weights = tf.nn.softmax(frame_logits / tf.sqrt(frames), axis=1)
            return tf.reduce_sum(weights * frame_logits, axis=1)
        weights = tf.nn.softmax(tf.cast(self.attention(features), tf.float32), axis=1)
        return tf.reduce_sum(weights * frame_logits, axis=1)
