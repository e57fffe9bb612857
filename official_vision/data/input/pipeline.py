"""Batches of clips, read from shards with tf.data.

    positions of videos in a seeded order -- from the step that the run has reached
        -- choose a span -- read the segments in which it lies -- choose a box
        -- decode only the span's frames and, of JPEGs, only the box -- resize, flip
        -- change colours, blank streams -- batch -- mix

In training every random choice is a function of (seed, record number), and so of the step alone: a
resumed run sees the batches that it would have seen undisturbed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import tensorflow as tf

from official_vision.data.input import clip_span as span
from official_vision.data.input import geometry
from official_vision.data.input.augmentation import augment_clip
from official_vision.data.input.class_sampling import ClassSampling
from official_vision.data.input.clip_reader import ClipReader
from official_vision.data.input.evaluation_examples import (
    Example,
    evaluation_examples,
    window_examples,
)
from official_vision.data.input.input_servers import from_servers
from official_vision.data.input.mixing import mix_batch
from official_vision.data.input.training_order import training_order
from official_vision.data.storage.damaged_segments import Skipped, rows_or_blank
from official_vision.data.storage.index import Index
from official_vision.errors import UserError
from official_vision.specs import DataSpec

_BATCHES_AHEAD = 2
_PARALLEL = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}


def read_index(
    spec: DataSpec, streams: Sequence[str], num_classes: int | None, where: str
) -> Index:
    """Reads the split's index and checks that it suits the model.

    Args:
      spec: of the data.
      streams: that the model must be fed.
      num_classes: that the model predicts; None checks nothing.
      where: the gin scope, train or validation, for errors.

    Raises:
      UserError: no path, no prepared split, a missing stream, or another number of classes.
    """
    if not spec.path:
        raise UserError(
            f"{where}/DataSpec.path must name a prepared split. Received: ''. Run official-vision prepare first."
        )
    index = Index.read(spec.path, damaged_is_fatal=spec.damaged == "fail")
    missing = [stream for stream in streams if stream not in index.streams]
    if missing:
        raise UserError(
            f"{where}: the model reads {', '.join(streams)}. Received: {spec.path}, which lacks "
            f"{', '.join(missing)}. Prepare the data with it, or change ModelSpec."
        )
    if num_classes is not None:
        check_num_classes(num_classes, index, spec.path)
    return index


def check_num_classes(num_classes: int, index: Index, path: str) -> None:
    """Refuses a network of another number of classes than the data have.

    Args:
      num_classes: of the network.
      index: of the data.
      path: of the data, for the error.

    Raises:
      UserError: the numbers differ.
    """
    if num_classes != len(index.classes):
        raise UserError(
            f"ModelSpec.num_classes must be the data's. Received: {num_classes}, and {path} has "
            f"{len(index.classes)} classes. Set ModelSpec.num_classes = {len(index.classes)}, or leave it out."
        )


# AutoGraph would read the source of all that is mapped: nothing there is a Python condition on a tensor.
@tf.autograph.experimental.do_not_convert
def build_dataset(
    spec: DataSpec,
    index: Index,
    streams: Sequence[str],
    *,
    training: bool,
    input_context: tf.distribute.InputContext | None = None,
    start_step: int = 0,
    skipped: Skipped | None = None,
    half: int | None = None,
    servers: Sequence[str] = (),
    frame_labels: bool = False,
) -> tf.data.Dataset:
    """Builds the batches of one input pipeline.

    Args:
      spec: of the clips; `batch_size` is over all replicas.
      index: of the split.
      streams: to read.
      training: random clips for ever; else every view and crop once, in order, with a last batch
        that is filled with masked rows.
      input_context: this pipeline's number and the number of replicas; None for a single one.
      start_step: training steps to pass over, at no cost.
      skipped: notified of damaged segments where `spec.damaged` is skip.
      half: of the training records (see data/input/training_order.py); the other half's clips are cut otherwise.
      servers: that make training batches (see data/input/input_servers.py); none makes them here.
      frame_labels: adds the labels of each frame to the targets.

    Returns:
      A dataset of (features, targets). features: rgb uint8 [batch, time, size, size, 3], flow
      float32 [batch, time, size, size, 2] in pixels per frame step, objects uint8 [batch, time, size,
      size]. targets: labels float32 [batch, classes], mask float32 [batch] (0 for filling and
      damaged segments), video int32 [batch] (row of the video in its split); in training also
      dropout_seed int32 [batch, 2]; with `frame_labels` also frame_labels float32 [batch, time, classes].

    Raises:
      UserError: a batch size that the replicas can't share evenly, or too small to be mixed; a split
        without a half; servers out of reach, or where damaged segments are skipped.
    """
    context = input_context or tf.distribute.InputContext()
    batch = _replica_batch(spec, context)
    if training and batch == 1 and (spec.mixup_alpha or spec.cutmix_alpha):
        raise UserError(
            "Mixing needs at least two clips per replica. "
            f"Received: DataSpec.batch_size = {spec.batch_size} on {context.num_replicas_in_sync} replicas. "
            "Raise it, or set DataSpec.mixup_alpha and cutmix_alpha to 0."
        )
    reader = ClipReader(spec, index, streams, _noted(skipped, spec, index), frame_labels)
    if not training:
        examples = evaluation_examples(reader, context, batch)
        return _ahead(examples.batch(batch, drop_remainder=True))
    numbered = _numbered(spec, index, context, start_step, half)
    return _ahead(_training(reader, numbered.batch(batch, drop_remainder=True), batch, servers))


@tf.autograph.experimental.do_not_convert
def build_windows(
    spec: DataSpec,
    index: Index,
    streams: Sequence[str],
    places: Sequence[tuple[int, int]],
    *,
    input_context: tf.distribute.InputContext | None = None,
    skipped: Skipped | None = None,
) -> tf.data.Dataset:
    """Builds batches of windows of whole videos, with the labels of every stored frame.

    Args:
      spec: of the windows, each of `frames` frames at steps of `frame_stride`.
      index: of the split.
      streams: to read.
      places: of each window the video's position and the number of its first frame.
      input_context: as in `build_dataset`.
      skipped: likewise.

    Returns:
      A dataset of (features, targets): features as of `build_dataset`, targets as of ClipReader.window_targets.
    """
    context = input_context or tf.distribute.InputContext()
    batch = _replica_batch(spec, context)
    reader = ClipReader(spec, index, streams, _noted(skipped, spec, index))
    examples = window_examples(reader, places, context, batch)
    return _ahead(examples.batch(batch, drop_remainder=True))


def _replica_batch(spec: DataSpec, context: tf.distribute.InputContext) -> int:
    if spec.batch_size % context.num_replicas_in_sync:
        raise UserError(
            f"DataSpec.batch_size must be a multiple of the {context.num_replicas_in_sync} replicas. "
            f"Received: {spec.batch_size}. Change it."
        )
    return context.get_per_replica_batch_size(spec.batch_size)


def _noted(skipped: Skipped | None, spec: DataSpec, index: Index) -> Skipped | None:
    """Returns what is notified of damaged segments; None where they are errors."""
    if spec.damaged == "fail":
        return None
    return skipped or Skipped(spec.path, index)


def _training(
    reader: ClipReader, numbered: tf.data.Dataset, batch: int, servers: Sequence[str]
) -> tf.data.Dataset:
    """Builds training batches here, or on servers where there are some."""
    if not servers:
        return _training_batches(reader, numbered, batch)
    _check_servers_suit(reader.spec)
    return from_servers(
        lambda number, count: _training_batches(reader, numbered.shard(count, number), batch),
        servers,
    )


def _ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Makes batches ready before they are requested, and ends at once when its iterator is freed.

    TensorFlow's tuning of pipelines would wait on its thread when an iterator is freed: up to as long as it was read,
    and up to a minute, at the end of each evaluation and of a run. There is nothing else for it to tune here.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(_BATCHES_AHEAD).with_options(options)


def _check_servers_suit(spec: DataSpec) -> None:
    if spec.damaged == "skip":
        raise UserError(
            "Input servers can't report damaged segments to the run. Received: train/DataSpec.damaged = 'skip' with "
            "TrainSpec.input_servers. Set damaged = 'fail', or leave input_servers out."
        )


def _numbered(
    spec: DataSpec,
    index: Index,
    context: tf.distribute.InputContext,
    start_step: int,
    half: int | None,
) -> tf.data.Dataset:
    """Returns one pipeline's share of (number, position) in the order of training."""
    if half is not None and index.num_videos < 2:
        raise UserError(
            f"Two halves need at least 2 records. Received: {spec.path}, which has {index.num_videos}. "
            "Set ConnectivitySpec.updates = 'joint'."
        )
    by_class = spec.class_sampling != "natural"
    sampling = ClassSampling(spec.class_sampling, index.video_classes) if by_class else None
    first = start_step * spec.batch_size
    order = training_order(index.num_videos, spec.seed, first, half, sampling)
    if half == 1:  # random choices go by the number: other ones than the first half's
        order = order.map(lambda number, position: (-1 - number, position), **_PARALLEL)
    # Numbered before they are shared out: pipelines draw different random numbers.
    return order.shard(context.num_input_pipelines, context.input_pipeline_id)


def _training_batches(reader: ClipReader, numbered: tf.data.Dataset, batch: int) -> tf.data.Dataset:
    """Makes the clips of batches of (number, position), each of `batch` rows."""
    spec = reader.spec

    def cut(number: tf.Tensor, position: tf.Tensor) -> Example:
        seeds = _seeds(spec, number)
        start = span.random_start(reader.num_frames(position), spec, seeds[0])
        frames = reader.frames(position, start)
        box = geometry.random_box(*reader.size(frames), spec.min_crop_area, seeds[1])
        flip = tf.random.stateless_uniform([], seeds[2]) < 0.5 if spec.flip else False
        features = reader.clip(frames, box, tf.convert_to_tensor(flip))
        return augment_clip(features, spec, seeds[3]), reader.targets(frames, position)

    def whole(numbers: tf.Tensor, positions: tf.Tensor) -> Example:
        features, targets = rows_or_blank(cut, batch, numbers, positions)
        reader.report(targets["mask"], positions)
        # No other random choice about a clip has a seed that begins with a negative number.
        seeds = tf.stack([tf.fill([batch], -1 - spec.seed), tf.cast(numbers, tf.int32)], axis=1)
        targets = {**targets, "dropout_seed": seeds}
        if spec.mixup_alpha or spec.cutmix_alpha:
            return mix_batch(features, targets, spec, _seeds(spec, numbers[0])[4])
        return features, targets

    # Clips of a batch are made side by side; a further batch is begun before one ends.
    at_once = 1 + -(-(os.cpu_count() or 1) // batch)
    return numbered.map(whole, num_parallel_calls=at_once, deterministic=True)


def _seeds(spec: DataSpec, number: tf.Tensor) -> tf.Tensor:
    """Returns seeds int [5, 2] of a record number: for span, crop, flip, changed values, and the batch it opens."""
    return tf.random.split(tf.stack([tf.constant(spec.seed, tf.int64), number]), 5)
