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
from official_vision.data.input.clip import decode_clip, frame_size
from official_vision.data.input.input_servers import from_servers
from official_vision.data.input.mixing import mix_batch
from official_vision.data.input.training_order import training_order
from official_vision.data.storage.damaged_segments import (
    Skipped,
    or_blank,
    report_damage,
    rows_or_blank,
)
from official_vision.data.storage.index import Index
from official_vision.data.storage.segments import segments_of
from official_vision.errors import UserError
from official_vision.specs import DataSpec

Record = dict[str, tf.Tensor]
Example = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]
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

    Returns:
      A dataset of (features, targets). features: rgb uint8 [batch, time, size, size, 3], flow
      float32 [batch, time, size, size, 2] in pixels per frame step, objects uint8 [batch, time, size,
      size]. targets: labels float32 [batch, classes], mask float32 [batch] (0 for filling and
      damaged segments), video int32 [batch] (row of the video in its split); in training also
      dropout_seed int32 [batch, 2].

    Raises:
      UserError: a batch size that the replicas can't share evenly, or too small to be mixed; a split
        without a half; servers out of reach, or where damaged segments are skipped.
    """
    context = input_context or tf.distribute.InputContext()
    if spec.batch_size % context.num_replicas_in_sync:
        raise UserError(
            f"DataSpec.batch_size must be a multiple of the {context.num_replicas_in_sync} replicas. "
            f"Received: {spec.batch_size}. Change it."
        )
    if spec.damaged == "fail":
        skipped = None
    elif skipped is None:
        skipped = Skipped(spec.path, index)
    batch = context.get_per_replica_batch_size(spec.batch_size)
    if training and batch == 1 and (spec.mixup_alpha or spec.cutmix_alpha):
        raise UserError(
            "Mixing needs at least two clips per replica. "
            f"Received: DataSpec.batch_size = {spec.batch_size} on {context.num_replicas_in_sync} replicas. "
            "Raise it, or set DataSpec.mixup_alpha and cutmix_alpha to 0."
        )
    reader = _Reader(spec, index, streams, skipped)
    if not training:
        examples = _evaluation_examples(reader, context, batch)
        return _ahead(examples.batch(batch, drop_remainder=True))
    numbered = _numbered(spec, index, context, start_step, half)
    return _ahead(_training(reader, numbered.batch(batch, drop_remainder=True), batch, servers))


def _training(
    reader: _Reader, numbered: tf.data.Dataset, batch: int, servers: Sequence[str]
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


class _Reader:
    """Reads the segments that a clip needs, and cuts it; a damaged one gives a masked row or raises."""

    def __init__(
        self, spec: DataSpec, index: Index, streams: Sequence[str], skipped: Skipped | None
    ):
        self.spec = spec
        self.index = index
        self.streams = streams
        self._segments = segments_of(spec.path, index)
        self._skipped = skipped

    def num_frames(self, position: tf.Tensor) -> tf.Tensor:
        """Returns the number of frames of the video at a position, a scalar int32."""
        return self._segments.num_frames(position)

    def frames(self, position: tf.Tensor, start: tf.Tensor) -> Record:
        """Returns, as a record, those frames of a video that a clip from `start` on can need."""
        # The flow from a clip's last frame to the next belongs to a frame step too.
        count = self.spec.frames * self.spec.frame_stride
        return self._segments.window(position, start, count, self.streams)

    def report(self, mask: tf.Tensor, positions: tf.Tensor) -> None:
        """Reports the clips [clips] whose mask is 0, by the positions of their videos."""
        report_damage(mask == 0, positions, self.spec.path, self._skipped)

    def size(self, frames: Record) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the height and width of the frames, scalars int32."""
        return frame_size(frames, tf.constant(0), self.streams)

    def clip(self, frames: Record, box: tf.Tensor, flip: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the streams of the clip that begins with the first of the frames."""
        return decode_clip(frames, tf.constant(0), box, flip, self.spec, self.streams)

    def targets(self, frames: Record) -> dict[str, tf.Tensor]:
        """Returns the labels of the clip that begins with the first of the frames, and what identifies it."""
        return {
            "labels": span.clip_labels(frames, tf.constant(0), len(self.index.classes), self.spec),
            "mask": tf.constant(1.0),
            "video": tf.cast(frames["video"], tf.int32),
        }


def _training_batches(reader: _Reader, numbered: tf.data.Dataset, batch: int) -> tf.data.Dataset:
    """Makes the clips of batches of (number, position), each of `batch` rows."""
    spec = reader.spec

    def cut(number: tf.Tensor, position: tf.Tensor) -> Example:
        seeds = _seeds(spec, number)
        start = span.random_start(reader.num_frames(position), spec, seeds[0])
        frames = reader.frames(position, start)
        box = geometry.random_box(*reader.size(frames), spec.min_crop_area, seeds[1])
        flip = tf.random.stateless_uniform([], seeds[2]) < 0.5 if spec.flip else False
        features = reader.clip(frames, box, tf.convert_to_tensor(flip))
        return augment_clip(features, spec, seeds[3]), reader.targets(frames)

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


def _evaluation_examples(
    reader: _Reader, context: tf.distribute.InputContext, batch: int
) -> tf.data.Dataset:
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
            return reader.clip(frames, box, tf.constant(False)), reader.targets(frames)

        features, targets = or_blank(cut)
        reader.report(targets["mask"][tf.newaxis], position[tf.newaxis])
        return features, targets

    pipelines, pipeline_number = context.num_input_pipelines, context.input_pipeline_id
    positions = tf.data.Dataset.range(num_videos).shard(pipelines, pipeline_number)
    examples = positions.flat_map(every_cut).map(example, **_PARALLEL)
    # Every pipeline and replica gets as many batches as the fullest one, the rest filled and masked.
    num_clips = len(range(pipeline_number, num_videos, pipelines)) * len(cuts)
    most = -(-num_videos // pipelines) * len(cuts)
    step = batch * max(1, context.num_replicas_in_sync // pipelines)
    filling = -(-most // step) * step - num_clips
    blank = tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), examples.element_spec)
    return examples.concatenate(tf.data.Dataset.from_tensors(blank).repeat(filling))
