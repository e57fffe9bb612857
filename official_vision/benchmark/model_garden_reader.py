"""Model Garden's video reader, set to return what ours does."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from official.core import input_reader
from official.vision.configs.video_classification import DataConfig
from official.vision.dataloaders import video_input

from official_vision.specs import DataSpec


def garden_dataset(
    spec: DataSpec, paths: Sequence[str], num_classes: int, *, training: bool
) -> tf.data.Dataset:
    """Builds batches of ({"image": float32 [batch, time, size, size, 3] in 0..1}, labels) from our shards.

    Each segment is a record to it, of which it takes a clip.

    Args:
      spec: of the clips.
      paths: of the shards.
      num_classes: of the split.
      training: random spans, crops and flips; else the middle clip's middle square, unshuffled.
    """
    config = DataConfig(
        input_path=",".join(paths),
        feature_shape=(spec.frames, spec.size, spec.size, 3),
        temporal_stride=spec.frame_stride,
        num_classes=num_classes,
        global_batch_size=spec.batch_size,
        is_training=training,
        shuffle_buffer_size=64,
        drop_remainder=training,
        min_image_size=spec.size,
        aug_min_aspect_ratio=3 / 4,
        aug_max_aspect_ratio=4 / 3,
        aug_min_area_ratio=spec.min_crop_area,
    )
    reader = input_reader.InputReader(
        config,
        decoder_fn=video_input.Decoder().decode,
        parser_fn=video_input.Parser(config).parse_fn(training),
        postprocess_fn=video_input.PostBatchProcessor(config),
    )
    return reader.read()
