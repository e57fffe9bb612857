"""The clips of evaluation: views and crops of each video, or windows over all of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from official_vision.data.input import clip_span as span
from official_vision.data.input import geometry
from official_vision.data.input.clip_reader import ClipReader
from official_vision.data.storage.damaged_segments import or_blank

Example = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]
_PARALLEL = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}


def evaluation_examples(
    reader: ClipReader, context: tf.distribute.InputContext, batch: int
) -> tf.data.Dataset:
    """Makes every view and crop of one pipeline's videos, in order, and masked rows that fill its last batches."""
    spec, num_videos = reader.spec, reader.index.num_videos
    cuts = [(view, crop) for view in range(spec.views) for crop in range(spec.crops)]

    def every_cut(position: tf.Tensor) -> tf.data.Dataset:
        views, crops = (list(numbers) for numbers in zip(*cuts, strict=True))
        chosen = tf.data.Dataset.from_tensor_slices((views, crops))
        return chosen.map(lambda view, crop: (position, view, crop))

    def example(position: tf.Tensor, view: tf.Tensor, crop: tf.Tensor) -> Example:
        def cut() -> Example:
            start = span.evaluation_start(reader.num_frames(position), spec, view)
            frames = reader.frames(position, start)
            place = crop / (spec.crops - 1) if spec.crops > 1 else tf.constant(0.5)
            box = geometry.evaluation_box(*reader.size(frames), place)
            return reader.clip(frames, box, tf.constant(False)), reader.targets(frames, position)

        features, targets = or_blank(cut)
        reader.report(targets["mask"][tf.newaxis], position[tf.newaxis])
        return features, targets

    pipelines, pipeline_number = context.num_input_pipelines, context.input_pipeline_id
    positions = tf.data.Dataset.range(num_videos).shard(pipelines, pipeline_number)
    examples = positions.flat_map(every_cut).map(example, **_PARALLEL)
    num_clips = len(range(pipeline_number, num_videos, pipelines)) * len(cuts)
    most = -(-num_videos // pipelines) * len(cuts)
    return _filled(examples, num_clips, most, context, batch)


def window_examples(
    reader: ClipReader,
    places: Sequence[tuple[int, int]],
    context: tf.distribute.InputContext,
    batch: int,
) -> tf.data.Dataset:
    """Makes windows of whole videos, cut at the centre, of which one pipeline gets its share.

    Args:
      reader: of the videos.
      places: of each window the video's position and the number of its first frame.
      context: of the pipeline.
      batch: windows of a batch of one replica.
    """

    def example(place: tf.Tensor) -> Example:
        position, start = place[0], tf.cast(place[1], tf.int32)

        def cut() -> Example:
            frames = reader.frames(position, start)
            box = geometry.evaluation_box(*reader.size(frames), tf.constant(0.5))
            features = reader.clip(frames, box, tf.constant(False))
            return features, reader.window_targets(frames, position, start)

        features, targets = or_blank(cut)
        reader.report(targets["mask"][tf.newaxis], position[tf.newaxis])
        return features, targets

    pipelines = context.num_input_pipelines
    share = np.array(places, np.int64)[context.input_pipeline_id :: pipelines]
    examples = tf.data.Dataset.from_tensor_slices(share).map(example, **_PARALLEL)
    return _filled(examples, len(share), -(-len(places) // pipelines), context, batch)


def _filled(
    examples: tf.data.Dataset,
    count: int,
    most: int,
    context: tf.distribute.InputContext,
    batch: int,
) -> tf.data.Dataset:
    """Adds masked rows to `count` examples: each pipeline and replica gets as many batches as one of `most` does."""
    step = batch * max(1, context.num_replicas_in_sync // context.num_input_pipelines)
    filling = -(-most // step) * step - count
    blank = tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), examples.element_spec)
    return examples.concatenate(tf.data.Dataset.from_tensors(blank).repeat(filling))
