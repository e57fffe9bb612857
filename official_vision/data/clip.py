"""A record's clip: which frames it shows, and decoding those frames, each cut and resized at once."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from official_vision.data import geometry, span
from official_vision.data.shard import CHANNELS, decode_frame, encoded_size, jpeg_window
from official_vision.specs import DataSpec


def num_frames(record: dict[str, tf.Tensor], streams: Sequence[str]) -> tf.Tensor:
    """Stored frames of a record, a scalar int32."""
    return tf.shape(record[streams[0]])[0]


def frame_size(
    record: dict[str, tf.Tensor], start: tf.Tensor, streams: Sequence[str]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width of the frames, scalars int32, read from the header of the clip's first frame."""
    return encoded_size(record[streams[0]][start], streams[0])


def decode_clip(
    record: dict[str, tf.Tensor],
    start: tf.Tensor,
    box: tf.Tensor,
    flip: tf.Tensor,
    spec: DataSpec,
    streams: Sequence[str],
) -> dict[str, tf.Tensor]:
    """Decodes a clip: each frame that it needs once, no others, and of JPEGs only the box.

    Frames are cut and resized one by one while they lie in the processor's cache.

    Args:
      record: as data/shard.py parses it.
      start: the clip's first frame.
      box: int32 [top, left, height, width] to cut out of every frame.
      flip: whether to mirror, a scalar bool.
      spec: of the clip.
      streams: to decode.

    Returns:
      rgb uint8 [time, size, size, 3], flow float32 [time, size, size, 2] in pixels a clip step,
      objects uint8 ids [time, size, size].
    """
    length = num_frames(record, streams)
    features = {}
    for stream in streams:
        if stream == "flow":
            numbers = span.flow_numbers(start, length, spec)
        else:
            numbers = span.frame_numbers(start, length, spec)[:, tf.newaxis]
        frames = _decode_each_once(record, stream, numbers, box, flip, spec.size)
        features[stream] = tf.ensure_shape(frames, [spec.frames, *frames.shape[1:]])
    if "objects" in features:
        features["objects"] = features["objects"][..., 0]
    return features


def _decode_each_once(
    record: dict[str, tf.Tensor],
    stream: str,
    numbers: tf.Tensor,
    box: tf.Tensor,
    flip: tf.Tensor,
    size: int,
) -> tf.Tensor:
    """[time, size, size, channels] of the stored frames `numbers` [time, parts], parts summed."""
    signature = tf.TensorSpec(
        [size, size, CHANNELS[stream]], tf.float32 if stream == "flow" else tf.uint8
    )
    # A clip that loops or holds shows some frames several times: rows are equal where their first
    # parts are.
    count = numbers.shape[0]
    firsts, places = tf.unique(numbers[:, 0])
    chosen = tf.math.unsorted_segment_min(tf.range(count), places, tf.size(firsts))
    rows = tf.gather(numbers, chosen)

    window = None
    if stream == "rgb":
        # Worked out once instead of in every frame, which took a twentieth of the time.
        window = jpeg_window(encoded_size(record[stream][firsts[0]], stream)[1], box)

    def frame(row: tf.Tensor) -> tf.Tensor:
        cut = _sum_of_parts(record, stream, row, box, window)
        return geometry.resize(stream, cut[tf.newaxis], box, size, flip)[0]

    frames = tf.map_fn(frame, rows, fn_output_signature=signature)
    repeated = tf.size(firsts) < count
    return tf.cond(repeated, lambda: tf.gather(frames, places), lambda: frames)


def _sum_of_parts(
    record: dict[str, tf.Tensor],
    stream: str,
    row: tf.Tensor,
    box: tf.Tensor,
    window: tuple[tf.Tensor, tf.Tensor] | None,
) -> tf.Tensor:
    """The box of one frame; of flow, the sum of the stored flows `row`, where NO_MOTION adds none."""

    def decoded(number: tf.Tensor) -> tf.Tensor:
        return decode_frame(record[stream][number], stream, record["flow_bound"], box, window)

    if stream != "flow":
        return decoded(row[0])
    still = tf.zeros([box[2], box[3], CHANNELS[stream]])
    parts = [
        tf.cond(number == span.NO_MOTION, lambda: still, lambda n=number: decoded(n))
        for number in tf.unstack(row)
    ]
    return parts[0] if len(parts) == 1 else tf.add_n(parts)
