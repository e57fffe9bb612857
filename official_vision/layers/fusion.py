"""Lateral fusion of several streams (AssembleNet, arXiv 1905.13209, section 3) of maps with a time axis."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from official_vision.layers.clip_layer import ClipLayer, channels_of, register
from official_vision.modeling import fusion
from official_vision.modeling.ops import frame_layout
from official_vision.modeling.ops.layer import build_inside, feature_maps
from official_vision.modeling.ops.shared_maps import max_pooled


@register
class WeightedFusion(ClipLayer):
    """Max-pools maps to the smallest of them, takes each to one width by a 1x1 convolution, and adds them up.

    sum over j of sigmoid(w_j) * conv1x1(x_j), with learned w; maps as wide as the output need no convolution
    """

    def __init__(self, channels: int, strengths: Sequence[float] | None = None, **kwargs):
        """
        Args:
          channels: of the output.
          strengths: sigmoid(w) to start from, one per input, in (0, 1); None starts near 0.5.
        """
        super().__init__(**kwargs)
        self.channels = channels
        self.strengths = None if strengths is None else tuple(strengths)

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        widths = [channels_of(shape) for shape in input_shape]
        self._ratios = _pool_ratios([tf.TensorShape(shape) for shape in input_shape])
        self.fusion = fusion.WeightedFusion(
            widths, self.channels, self.strengths, execution=self.execution, name="fusion"
        )
        build_inside(self.fusion, [feature_maps(width) for width in widths])
        super().build(input_shape)

    def learned_strengths(self) -> tf.Tensor:
        """Returns sigmoid(w), [inputs]."""
        return self.fusion.learned_strengths()

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Fuses maps.

        Args:
          inputs: two or more, [batch, time, height, width, channels each]; heights are the smallest one times a
            whole number, and widths alike.

        Returns:
          [batch, time, smallest height, smallest width, channels].
        """
        frames = frame_layout.sizes(inputs[0])[1]
        maps = [
            max_pooled(frame_layout.merge_time(x), ratio)
            if ratio > 1
            else frame_layout.merge_time(x)
            for x, ratio in zip(inputs, self._ratios, strict=True)
        ]
        return frame_layout.split_time(self.fusion(maps), frames)


def _pool_ratios(shapes: Sequence[tf.TensorShape]) -> list[int]:
    """Returns the pooling ratio of each map; 1 for all where sizes are not known."""
    if len(shapes) < 2:
        raise ValueError(f"A fusion takes two maps or more. Received: {len(shapes)}.")
    sizes = [shape[2:4] for shape in shapes]
    if not all(size.is_fully_defined() for size in sizes):
        return [1] * len(shapes)
    least = min(size[0] for size in sizes), min(size[1] for size in sizes)
    ratios = []
    for height, width in sizes:
        # Strided layers round up: 7 rows become 4, and a pool of 2 takes 7 rows to 4.
        ratio = round(height / least[0])
        if (-(-height // ratio), -(-width // ratio)) != least:
            raise ValueError(
                "Heights and widths must be the smallest ones times one whole number. "
                f"Received: {height} x {width} beside {least[0]} x {least[1]}."
            )
        ratios.append(ratio)
    return ratios
