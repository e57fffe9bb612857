"""One clip for a run's network, from a video or from a record of the run's validation split."""

from __future__ import annotations

import dataclasses
import os

import tensorflow as tf

from official_vision.data.input.pipeline import build_dataset
from official_vision.data.storage.index import Index
from official_vision.errors import UserError
from official_vision.serving.export.description import description_of_run
from official_vision.serving.predict.video_clips import Feeder
from official_vision.training.clip_scoring import Trained


def clip_of_video(
    trained: Trained, index: Index, video: str | os.PathLike, start_sec: float
) -> dict[str, tf.Tensor]:
    """Returns the streams of the clip that begins at `start_sec`, with a batch axis of 1.

    Args:
      trained: the run.
      index: of its validation split: the video is prepared as that was.
      video: its path.
      start_sec: where the clip begins.

    Raises:
      VideoError: the video can't be decoded.
      UserError: the video is over before.
    """
    described = description_of_run(
        index.classes, trained.model.streams, index.settings, trained.config.validation_data
    )
    features = Feeder(described).first_clip(video, start_sec)
    return {name: x[tf.newaxis] for name, x in features.items()}


def clip_of_record(trained: Trained, index: Index, number: int) -> dict[str, tf.Tensor]:
    """Returns the streams of a record's middle clip, with a batch axis of 1.

    Args:
      trained: the run.
      index: of its validation split.
      number: of the record, from 0.

    Raises:
      UserError: the split has no such record.
    """
    if not 0 <= number < index.num_videos:
        raise UserError(
            f"A record must be one of 0 to {index.num_videos - 1}. Received: {number}. Name another."
        )
    spec = dataclasses.replace(trained.config.validation_data, batch_size=1, views=1, crops=1)
    dataset = build_dataset(spec, index, trained.model.streams, training=False)
    features, _ = next(iter(dataset.skip(number)))
    return {name: features[name] for name in trained.model.streams}
