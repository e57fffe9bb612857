"""A record's clip: the frames that it shows, decoded, cut and resized."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from official_vision.data.input import clip_span as span
from official_vision.data.input import geometry
from official_vision.data.storage.shard import (
    CHANNELS,
    JpegWindow,
    are_jpegs,
    decode_frame,
    encoded_size,
    jpeg_window,
)
from official_vision.specs import DataSpec


def num_frames(record: dict[str, tf.Tensor], streams: Sequence[str]) -> tf.Tensor:
    """Returns the number of stored frames of a record, a scalar int32."""
    return tf.shape(record[streams[0]])[0]


def frame_size(
    record: dict[str, tf.Tensor], start: tf.Tensor, streams: Sequence[str]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the height and width of the frames, scalars int32, read from the header of the clip's first frame."""
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
      record: as data/storage/shard.py parses it.
      start: the clip's first frame.
      box: int32 [top, left, height, width] to cut out of every frame.
      flip: whether to mirror, a scalar bool.
      spec: of the clip.
      streams: to decode.

    Returns:
      rgb uint8 [time, size, size, 3], flow float32 [time, size, size, 2] in pixels per clip step,
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
    """Decodes the stored frames `numbers` [time, parts] to [time, size, size, channels], parts summed."""
    signature = tf.TensorSpec(
        [size, size, CHANNELS[stream]], tf.float32 if stream == "flow" else tf.uint8
    )
    # A clip that loops or repeats shows some frames several times: rows are equal where their first
    # parts are.
    count = numbers.shape[0]
    firsts, places = tf.unique(numbers[:, 0])
    chosen = tf.math.unsorted_segment_min(tf.range(count), places, tf.size(firsts))
    rows = tf.gather(numbers, chosen)
    encoded = tf.where(rows == span.NO_MOTION, "", tf.gather(record[stream], tf.maximum(rows, 0)))

    def decoded(window: JpegWindow | None) -> tf.Tensor:
        def frame(parts: tf.Tensor) -> tf.Tensor:
            cut = _sum_of_parts(parts, stream, record["flow_bound"], box, window)
            return geometry.resize(stream, cut[tf.newaxis], box, size, flip)[0]

        return tf.map_fn(frame, encoded, fn_output_signature=signature)

    # What is the same for all frames is worked out once: in every frame it took a tenth of the time.
    if stream == "rgb":
        window = jpeg_window(encoded_size(encoded[0, 0], stream)[1], box)
        frames = tf.cond(are_jpegs(encoded), lambda: decoded(window), lambda: decoded(None))
    else:
        frames = decoded(None)
    repeated = tf.size(firsts) < count
    return tf.cond(repeated, lambda: tf.gather(frames, places), lambda: frames)


def _sum_of_parts(
    parts: tf.Tensor,
    stream: str,
    flow_bound: tf.Tensor,
    box: tf.Tensor,
    window: JpegWindow | None,
) -> tf.Tensor:
    """Decodes the box of one frame; of flow, the sum of the encoded flows `parts`, where "" adds none."""

    def decoded(encoded: tf.Tensor) -> tf.Tensor:
        return decode_frame(encoded, stream, flow_bound, box, window)

    if stream != "flow":
        return decoded(parts[0])
    still = tf.zeros([box[2], box[3], CHANNELS[stream]])
    flows = [
        tf.cond(encoded == "", lambda: still, lambda e=encoded: decoded(e))
        for encoded in tf.unstack(parts)
    ]
    return flows[0] if len(flows) == 1 else tf.add_n(flows)
