"""Shards -> batches with tf.data.

    shards -- shuffle -- number the records -- skip what an earlier run has used
           -- choose a span -- decode only its frames -- crop, resize, flip -- batch

In training every random choice is a function of (seed, record number), and so of the step alone: a
resumed run sees the batches that it would have seen undisturbed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from official_vision.data import geometry, span
from official_vision.data.index import Index
from official_vision.data.shard import decode_frame, parse
from official_vision.errors import UserError
from official_vision.specs import DataSpec

Example = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]


def read_index(spec: DataSpec, streams: Sequence[str], num_classes: int, where: str) -> Index:
    """Reads the split's index and checks that it serves the model.

    Args:
      spec: of the data.
      streams: that the model must be fed.
      num_classes: that the model predicts.
      where: the gin scope, train or validation, for errors.

    Raises:
      UserError: no path, no prepared split, a missing stream, or another number of classes.
    """
    if not spec.path:
        raise UserError(
            f"{where}/DataSpec.path must name a prepared split. Received: ''. Run tools/prepare_data.py first."
        )
    index = Index.read(spec.path)
    missing = [stream for stream in streams if stream not in index.streams]
    if missing:
        raise UserError(
            f"{where}: the model asks for {', '.join(streams)}. Received: {spec.path}, which lacks "
            f"{', '.join(missing)}. Prepare the data with it, or change ModelSpec."
        )
    if len(index.classes) != num_classes:
        raise UserError(
            f"ModelSpec.num_classes must be the data's. Received: {num_classes}, and {spec.path} has "
            f"{len(index.classes)} classes. Set ModelSpec.num_classes = {len(index.classes)}."
        )
    return index


def build_dataset(
    spec: DataSpec,
    index: Index,
    streams: Sequence[str],
    *,
    training: bool,
    input_context: tf.distribute.InputContext | None = None,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Builds the batches of one input pipeline.

    Args:
      spec: of the clips; `batch_size` is over all replicas.
      index: of the split.
      streams: to read.
      training: random clips for ever; else every view and crop once, in order, with a last batch
        that is filled with masked rows.
      input_context: this pipeline's number and the number of replicas; None for a single one.
      start_step: training steps to pass over.

    Returns:
      A dataset of (features, targets). features: rgb uint8 [batch, time, size, size, 3], flow
      float32 [batch, time, size, size, 2] in pixels a frame step, objects uint8 [batch, time, size,
      size]. targets: labels float32 [batch, classes], mask float32 [batch] (0 for filling), video
      int32 [batch] (row of the video in its split).

    Raises:
      UserError: a batch size that the replicas can't share evenly.
    """
    context = input_context or tf.distribute.InputContext()
    if spec.batch_size % context.num_replicas_in_sync:
        raise UserError(
            f"DataSpec.batch_size must be a multiple of the {context.num_replicas_in_sync} replicas. "
            f"Received: {spec.batch_size}. Change it."
        )
    batch = context.get_per_replica_batch_size(spec.batch_size)
    pipeline = (context.num_input_pipelines, context.input_pipeline_id)
    if training:
        # Numbered before they are shared out: pipelines draw different random numbers.
        numbered = _training_records(spec, index, start_step * spec.batch_size).shard(*pipeline)
        examples = _training_examples(numbered, spec, index, streams)
    else:
        records = tf.data.TFRecordDataset(_paths(spec, index)).shard(*pipeline)
        examples = _evaluation_examples(records, spec, index, streams, context, batch)
    return examples.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def _paths(spec: DataSpec, index: Index) -> list[str]:
    return [str(Path(spec.path) / shard.file) for shard in index.shards]


def _training_records(spec: DataSpec, index: Index, used: int) -> tf.data.Dataset:
    """(number, serialised record) for ever, in an order that the seed fixes, from number `used` on."""
    paths = _paths(spec, index)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # This function's graph has a seed of its own. Dataset.shuffle would mix in TensorFlow's global
        # seed, which a resumed run sets anew. (0 would stand for no seed.)
        tf.random.set_seed(spec.seed + 1)
        order = tf.random.experimental.stateless_shuffle(
            tf.constant(paths), tf.stack([tf.constant(spec.seed, tf.int64), number])
        )
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            tf.data.TFRecordDataset, cycle_length=min(len(paths), 16)
        )
        return records.shuffle(min(spec.shuffle_buffer, index.num_videos), number)

    # Whole epochs are passed over without reading them.
    epochs, rest = divmod(used, index.num_videos)
    records = tf.data.Dataset.counter(epochs).flat_map(epoch)
    return records.enumerate(epochs * index.num_videos).skip(rest)


def _training_examples(
    numbered: tf.data.Dataset, spec: DataSpec, index: Index, streams: Sequence[str]
) -> tf.data.Dataset:
    def example(number: tf.Tensor, serialized: tf.Tensor) -> Example:
        seeds = tf.random.split(tf.stack([tf.constant(spec.seed, tf.int64), number]), 3)
        record = parse(serialized, streams)
        start = span.random_start(_length(record, streams), spec, seeds[0])
        features = _decoded(record, start, spec, streams)
        height, width = _frame_size(features)
        box = geometry.random_box(height, width, spec.min_crop_area, seeds[1])
        flip = tf.random.stateless_uniform([], seeds[2]) < 0.5 if spec.flip else tf.constant(False)
        return _example(record, features, box, flip, start, spec, index)

    return numbered.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _evaluation_examples(
    records: tf.data.Dataset,
    spec: DataSpec,
    index: Index,
    streams: Sequence[str],
    context: tf.distribute.InputContext,
    batch: int,
) -> tf.data.Dataset:
    cuts = [(view, crop) for view in range(spec.views) for crop in range(spec.crops)]

    def every_cut(serialized: tf.Tensor) -> tf.data.Dataset:
        views, crops = zip(*cuts, strict=True)
        return tf.data.Dataset.from_tensor_slices(
            (tf.repeat(serialized, len(cuts)), list(views), list(crops))
        )

    def example(serialized: tf.Tensor, view: tf.Tensor, crop: tf.Tensor) -> Example:
        record = parse(serialized, streams)
        start = span.evaluation_start(_length(record, streams), spec, view)
        features = _decoded(record, start, spec, streams)
        position = crop / (spec.crops - 1) if spec.crops > 1 else tf.constant(0.5)
        box = geometry.evaluation_box(*_frame_size(features), position)
        return _example(record, features, box, tf.constant(False), start, spec, index)

    examples = records.flat_map(every_cut).map(
        example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    # Every pipeline and replica gets as many batches as the fullest one, the rest filled and masked.
    pipelines = context.num_input_pipelines
    own = len(range(context.input_pipeline_id, index.num_videos, pipelines)) * len(cuts)
    most = -(-index.num_videos // pipelines) * len(cuts)
    step = batch * max(1, context.num_replicas_in_sync // pipelines)
    filling = -(-most // step) * step - own
    blank = tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), examples.element_spec)
    return examples.concatenate(tf.data.Dataset.from_tensors(blank).repeat(filling))


def _length(record: dict[str, tf.Tensor], streams: Sequence[str]) -> tf.Tensor:
    return tf.shape(record[streams[0]])[0]


def _frame_size(features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    shape = tf.shape(next(iter(features.values())))
    return shape[1], shape[2]


def _decoded(
    record: dict[str, tf.Tensor], start: tf.Tensor, spec: DataSpec, streams: Sequence[str]
) -> dict[str, tf.Tensor]:
    """Decodes the clip's frames and no others: [time, height, width, channels]."""
    length = _length(record, streams)
    features = {}
    for stream in streams:
        numbers = span.frame_numbers(start, length, spec)
        if stream == "flow":
            numbers = tf.reshape(span.flow_numbers(start, length, spec), [-1])
        dtype = tf.float32 if stream == "flow" else tf.uint8
        frames = tf.map_fn(
            lambda encoded, s=stream: decode_frame(encoded, s, record["flow_bound"]),
            tf.gather(record[stream], numbers),
            fn_output_signature=tf.TensorSpec(
                [None, None, {"rgb": 3, "flow": 2, "objects": 1}[stream]], dtype
            ),
        )
        if stream == "flow" and spec.frame_stride > 1:
            shape = tf.shape(frames)
            parts = tf.reshape(frames, [spec.frames, spec.frame_stride, shape[1], shape[2], 2])
            frames = tf.reduce_sum(parts, axis=1)
        features[stream] = tf.ensure_shape(frames, [spec.frames, None, None, frames.shape[-1]])
    return features


def _example(
    record: dict[str, tf.Tensor],
    features: dict[str, tf.Tensor],
    box: tf.Tensor,
    flip: tf.Tensor,
    start: tf.Tensor,
    spec: DataSpec,
    index: Index,
) -> Example:
    features = geometry.crop_and_resize(features, box, spec.size, flip)
    if "objects" in features:
        features["objects"] = features["objects"][..., 0]
    for name, x in features.items():
        features[name] = tf.ensure_shape(x, [spec.frames, *x.shape[1:]])
    targets = {
        "labels": span.clip_labels(record, start, len(index.classes), spec),
        "mask": tf.constant(1.0),
        "video": tf.cast(record["video"], tf.int32),
    }
    return features, targets
