"""Overlapping windows that share what a frame's stems compute, where the architecture allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from official_vision.serving.export.exported_model import Answerer

Window = tuple[np.ndarray, Mapping[str, tf.Tensor]]


class StemSharer:
    """Asks a file for windows of one video, in their order; a frame's flow stems are computed once.

    Exact: such a stem sees one frame of flow at a time, and a frame's flow is the same in each window. It
    holds the stems' outputs of the frames of the last window.
    """

    def __init__(self, answerer: Answerer):
        """Args:
        answerer: of a file that `shares_stems`.
        """
        self._answerer = answerer
        self._held: dict[int, dict[str, tf.Tensor]] = {}
        self.computed = 0  # frames

    def __call__(self, batch: Sequence[Window]) -> dict[str, np.ndarray]:
        """Returns the batch's answers, as the answerer itself would.

        Args:
          batch: of each window its frames' numbers in the video, which grow within it, and its features.

        Raises:
          UserError: the file can't compute them.
        """
        self._compute(batch)
        stems = {
            name: tf.stack(
                [tf.stack([self._held[f][name] for f in own]) for own in _numbers(batch)]
            )
            for name in self._answerer.stems
        }
        rest = {
            name: tf.stack([features[name] for _, features in batch])
            for name in batch[0][1]
            if name != "flow"
        }
        first_needed = _numbers(batch)[-1][0]
        self._held = {f: own for f, own in self._held.items() if f >= first_needed}
        return self._answerer.from_stems(**rest, **stems)

    def _compute(self, batch: Sequence[Window]) -> None:
        """Computes what isn't held of the batch's frames, all at once."""
        flow = {
            number: features["flow"][place]
            for own, (_, features) in zip(_numbers(batch), batch, strict=True)
            for place, number in enumerate(own)
            if number not in self._held
        }
        if not flow:
            return
        made = self._answerer.frame_stems(tf.stack(list(flow.values()))[tf.newaxis])
        self.computed += len(flow)
        for place, number in enumerate(flow):
            self._held[number] = {name: own[0, place] for name, own in made.items()}


def _numbers(batch: Sequence[Window]) -> list[list[int]]:
    return [frames.tolist() for frames, _ in batch]
