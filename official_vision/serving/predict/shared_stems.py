"""Overlapping windows that share the outputs of a frame's stems, where the architecture allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from official_vision.serving.export.exported_model import ExportedModel

Window = tuple[np.ndarray, Mapping[str, tf.Tensor]]


class StemSharer:
    """Scores windows of one video, in their order; a frame's flow stems are computed once.

    Exact: such a stem sees one frame of flow at a time, and a frame's flow is the same in each window. It
    stores the stems' outputs of the frames of the last window.
    """

    def __init__(self, model: ExportedModel):
        """Args:
        model: of a file that `shares_stems`.
        """
        self._model = model
        self._features: dict[int, dict[str, tf.Tensor]] = {}
        self.computed = 0  # frames

    def __call__(self, batch: Sequence[Window]) -> dict[str, np.ndarray]:
        """Returns the batch's scores, as the exported model would return them.

        Args:
          batch: of each window its frames' numbers in the video, which grow within it, and its features.

        Raises:
          UserError: the file can't compute them.
        """
        self._compute(batch)
        stems = {
            name: tf.stack(
                [tf.stack([self._features[f][name] for f in frames]) for frames in _numbers(batch)]
            )
            for name in self._model.stems
        }
        rest = {
            name: tf.stack([features[name] for _, features in batch])
            for name in batch[0][1]
            if name != "flow"
        }
        first_needed = _numbers(batch)[-1][0]
        self._features = {
            f: features for f, features in self._features.items() if f >= first_needed
        }
        return self._model.from_stems(**rest, **stems)

    def _compute(self, batch: Sequence[Window]) -> None:
        """Computes the missing stem outputs of the batch's frames, all at once."""
        flow = {
            number: features["flow"][place]
            for numbers, (_, features) in zip(_numbers(batch), batch, strict=True)
            for place, number in enumerate(numbers)
            if number not in self._features
        }
        if not flow:
            return
        made = self._model.frame_stems(tf.stack(list(flow.values()))[tf.newaxis])
        self.computed += len(flow)
        for place, number in enumerate(flow):
            self._features[number] = {name: output[0, place] for name, output in made.items()}


def _numbers(batch: Sequence[Window]) -> list[list[int]]:
    return [frames.tolist() for frames, _ in batch]
