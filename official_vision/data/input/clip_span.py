"""The frames of a video that a clip shows, and its labels."""

from __future__ import annotations

import tensorflow as tf

from official_vision.specs import DataSpec

NO_MOTION = -1  # in place of a stored flow's number


def random_start(length: tf.Tensor, spec: DataSpec, seed: tf.Tensor) -> tf.Tensor:
    """Draws a start from which the whole clip fits; 0 for a video that is too short. Scalars int32."""
    room = tf.maximum(length - _extent(spec), 0)
    return tf.random.stateless_uniform([], seed, 0, room + 1, tf.int32)


def evaluation_start(length: tf.Tensor, spec: DataSpec, view: tf.Tensor) -> tf.Tensor:
    """Returns the start of evaluation clip `view`: they are spread evenly, the last ends with the video."""
    room = tf.cast(tf.maximum(length - _extent(spec), 0), tf.float32)
    share = tf.cast(view, tf.float32) / (spec.views - 1) if spec.views > 1 else 0.5
    return tf.cast(tf.round(room * share), tf.int32)


def frame_numbers(start: tf.Tensor, length: tf.Tensor, spec: DataSpec) -> tf.Tensor:
    """Returns the clip's frame numbers, int32 [frames]; past the video's end it loops or repeats."""
    return _within(start + tf.range(spec.frames) * spec.frame_stride, length, spec)


def flow_numbers(start: tf.Tensor, length: tf.Tensor, spec: DataSpec) -> tf.Tensor:
    """Returns the numbers [frames, frame_stride] of the stored flows between each frame of the clip and the next.

    Their sum approximates the flow over the whole step, pixel by pixel: right where motion is
    smooth over a few pixels. NO_MOTION is used where nothing moves or the motion is unknown: in a clip
    that outlasts its video, once the last frame is repeated, and in a step from the last frames back to
    the first. The last step of a clip that ends with its video repeats the flow stored last.
    """
    steps = tf.range(spec.frames)[:, tf.newaxis] * spec.frame_stride + tf.range(spec.frame_stride)
    numbers = start + steps
    fits = tf.minimum(numbers, length - 1)
    if spec.short_video == "hold":
        filled = tf.where(numbers < length - 1, numbers, NO_MOTION)
    else:
        looped = numbers % length
        leaps = tf.reduce_any(looped == length - 1, axis=1, keepdims=True)
        filled = tf.where(leaps, NO_MOTION, looped)
    return tf.where(length < _extent(spec), filled, fits)


def clip_labels(
    record: dict[str, tf.Tensor], start: tf.Tensor, num_classes: int, spec: DataSpec
) -> tf.Tensor:
    """Returns the clip's labels by `spec.label_rule`: multi-hot float32 [classes]; a repeated class counts once.

    Args:
      record: as data/storage/shard.py parses it.
      start: first frame of the clip.
      num_classes: classes.
      spec: of the clip.
    """
    applies = tf.ones_like(record["label_index"], tf.bool)
    if spec.label_rule in ("any_overlap", "half_overlap"):
        clip_start = _frame_time(record, start)
        clip_end = _frame_time(record, start + _extent(spec))
        label_start = tf.maximum(record["label_start"], 0.0)
        whole = record["label_end"] < 0
        label_end = tf.where(whole, tf.float32.max, record["label_end"])
        overlap = tf.minimum(clip_end, label_end) - tf.maximum(clip_start, label_start)
        shorter = tf.minimum(clip_end - clip_start, label_end - label_start)
        applies = overlap > 0 if spec.label_rule == "any_overlap" else overlap >= shorter / 2
    indices = tf.boolean_mask(record["label_index"], applies)
    return tf.reduce_max(tf.one_hot(tf.concat([indices, [-1]], 0), num_classes), axis=0)


def frame_labels(record: dict[str, tf.Tensor], numbers: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns the labels of frames, multi-hot float32 [frames, classes].

    A frame carries a label that holds at the frame's middle, so that a label's border between two frames is never a
    tie. Rules about clips (`DataSpec.label_rule`) have no part in it.

    Args:
      record: as data/storage/shard.py parses it.
      numbers: of the frames, int32 [frames]; one may come again.
      num_classes: classes.
    """
    times = record["times"]
    middles = (tf.gather(times, numbers) + tf.gather(times, numbers + 1)) / 2
    start = tf.maximum(record["label_start"], 0.0)
    end = tf.where(record["label_end"] < 0, tf.float32.max, record["label_end"])
    holds = (start <= middles[:, tf.newaxis]) & (middles[:, tf.newaxis] < end)
    classes = tf.one_hot(record["label_index"], num_classes)
    return tf.minimum(tf.cast(holds, tf.float32) @ classes, 1.0)


def _frame_time(record: dict[str, tf.Tensor], number: tf.Tensor) -> tf.Tensor:
    """Returns the seconds at which a frame begins, or the last one ends."""
    times = record["times"]
    return times[tf.minimum(number, tf.size(times) - 1)]


def _extent(spec: DataSpec) -> int:
    """Returns the number of stored frames that a clip spans."""
    return (spec.frames - 1) * spec.frame_stride + 1


def _within(numbers: tf.Tensor, length: tf.Tensor, spec: DataSpec) -> tf.Tensor:
    if spec.short_video == "loop":
        return numbers % length
    return tf.minimum(numbers, length - 1)
