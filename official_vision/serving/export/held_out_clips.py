"""Clips of the validation split, on which every exported file must agree with the network."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from official_vision.data.input.pipeline import build_dataset
from official_vision.data.storage.index import Index
from official_vision.modeling.inputs import blank_stream
from official_vision.modeling.network import AssembleNet
from official_vision.specs import DataSpec
from official_vision.training.task import scores_of


@dataclasses.dataclass(frozen=True)
class HeldOutClips:
    """Clips that are cut as in evaluation.

    Attributes:
      streams: each [clips, time, height, width, ...]; dtypes as the network is fed.
      labels: float32 [clips, classes], multi-hot.
    """

    streams: dict[str, np.ndarray]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def clip(self, number: int) -> dict[str, np.ndarray]:
        """Returns the streams of one clip, with a batch axis of 1."""
        return {name: values[number : number + 1] for name, values in self.streams.items()}

    def halves(self) -> tuple[HeldOutClips, HeldOutClips]:
        """Returns every second clip and the others; the same clip twice where there is only one."""
        if len(self) == 1:
            return self, self
        return self._every_second(0), self._every_second(1)

    def _every_second(self, first: int) -> HeldOutClips:
        streams = {name: values[first::2] for name, values in self.streams.items()}
        return HeldOutClips(streams, self.labels[first::2])

    def without(self, stream: str) -> HeldOutClips:
        """Returns the clips with one stream blanked."""
        blanked = blank_stream({k: tf.constant(v) for k, v in self.streams.items()}, stream)
        return dataclasses.replace(self, streams={k: v.numpy() for k, v in blanked.items()})


def read_clips(spec: DataSpec, index: Index, streams: tuple[str, ...], count: int) -> HeldOutClips:
    """Reads the middle clip of videos that are spread evenly over a split.

    Args:
      spec, index: of the split.
      streams: to read.
      count: of clips; all videos' where the split has fewer.
    """
    spec = dataclasses.replace(spec, batch_size=1, views=1, crops=1)
    count = min(count, index.num_videos)
    wanted = set(np.linspace(0, index.num_videos - 1, count).round().astype(int).tolist())
    rows = []
    for number, row in enumerate(build_dataset(spec, index, streams, training=False)):
        if number in wanted:
            rows.append(row)
        if len(rows) == count:
            break
    features = {name: np.concatenate([row[0][name] for row in rows]) for name in streams}
    return HeldOutClips(features, np.concatenate([row[1]["labels"] for row in rows]))


def network_scores(model: AssembleNet, clips: HeldOutClips) -> dict[str, np.ndarray]:
    """Returns the network's scores [clips, classes] and frame_scores [clips, time, classes]."""
    # On the CPU, as the file is run: an accelerator rounds otherwise.
    with tf.device("/CPU:0"):
        forward = tf.function(lambda streams: model(streams, training=False))
        outputs = [
            forward({name: tf.constant(x) for name, x in clips.clip(number).items()})
            for number in range(len(clips))
        ]
    return {
        name: np.concatenate(
            [
                scores_of(batch_outputs[logits], model.spec.activation).numpy()
                for batch_outputs in outputs
            ]
        )
        for name, logits in (("scores", "logits"), ("frame_scores", "frame_logits"))
    }
