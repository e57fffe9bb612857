"""The shard format: TFRecords of SequenceExamples, one per segment of a video, of which the last may be shorter.

The keys are a superset of Model Garden's, whose video reader takes these shards (rgb and labels): each segment
is a clip to it.

    context        clip/id, clip/video (row of the split), clip/first_frame (the segment's first, in the video),
                   clip/fps, clip/label/index, clip/label/text,
                   clip/label/start, clip/label/end (seconds; -1 = whole),
                   clip/times (seconds: when each frame begins, and the segment's last one ends),
                   flow/bound (pixels)
    feature lists  image/encoded    a JPEG per frame
                   flow/encoded     a grey PNG per frame, x codes above y codes: [2 * height, width]
                   objects/encoded  a grey PNG of ids per frame

Shards are written by data/storage/shard_writer.py; where segments lie, says the index (data/storage/segments.py).
Frames are encoded by data/storage/frame_encoding.py, in processes without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from official_vision.data.optical_flow import CODES, ZERO_CODE

WHOLE_VIDEO = -1.0
ENCODED_KEYS = {"rgb": "image/encoded", "flow": "flow/encoded", "objects": "objects/encoded"}
RECORD_OVERHEAD_BYTES = 16  # of a TFRecord besides its content: the length and two checksums
CHANNELS = {"rgb": 3, "flow": 2, "objects": 1}  # of decoded frames
_DCT = "INTEGER_ACCURATE"
_LEAST_DECODED = 16  # columns of a JPEG
_BLOCK = 16  # columns that a JPEG of half-width colours codes together


class JpegWindow(NamedTuple):
    """The part of a JPEG to decode for a box of it.

    Attributes:
      decoded: int32 [top, left, height, width] in the JPEG.
      begin, size: int32 [3], where the box begins in what was decoded, and its shape.
    """

    decoded: tf.Tensor
    begin: tf.Tensor
    size: tf.Tensor


_SCALARS = {
    "clip/id": tf.string,
    "clip/video": tf.int64,
    "clip/fps": tf.float32,
    "flow/bound": tf.float32,
}
_LISTS = {
    "clip/label/index": tf.int64,
    "clip/label/start": tf.float32,
    "clip/label/end": tf.float32,
    "clip/times": tf.float32,
}
_CONTEXT_FEATURES = {
    **{key: tf.io.FixedLenFeature([], dtype) for key, dtype in _SCALARS.items()},
    **{key: tf.io.RaggedFeature(dtype) for key, dtype in _LISTS.items()},
}


def parse(serialized: tf.Tensor, streams: Sequence[str]) -> dict[str, tf.Tensor]:
    """Reads one record without decoding its frames.

    Args:
      serialized: a scalar string.
      streams: of rgb, flow and objects, those to read.

    Returns:
      A string [time] for each stream, and id, video, fps, flow_bound (scalars), label_index int64,
      label_start and label_end float32 [labels], times float32 [time + 1].
    """
    context, sequences = tf.io.parse_single_sequence_example(
        serialized,
        context_features=_CONTEXT_FEATURES,
        sequence_features={
            ENCODED_KEYS[name]: tf.io.FixedLenSequenceFeature([], tf.string) for name in streams
        },
    )
    frames = {name: sequences[ENCODED_KEYS[name]] for name in streams}
    return {**frames, **_context_values(context), "times": context["clip/times"]}


def parse_segments(serialized: tf.Tensor, streams: Sequence[str]) -> dict[str, tf.Tensor]:
    """Reads segments of one video that follow one another; joined they are one record.

    Args:
      serialized: string [segments], at least one.
      streams: of rgb, flow and objects, those to read.

    Returns:
      As `parse`, with the frames of all segments (a stream that a segment lacks has fewer), and first_frame int64
      [segments], the number of each segment's first frame in its video.
    """
    contexts, sequences, _ = tf.io.parse_sequence_example(
        serialized,
        context_features={
            **_CONTEXT_FEATURES,
            "clip/first_frame": tf.io.FixedLenFeature([], tf.int64),
        },
        sequence_features={ENCODED_KEYS[name]: tf.io.RaggedFeature(tf.string) for name in streams},
    )
    frames = {name: sequences[ENCODED_KEYS[name]].flat_values for name in streams}
    # A segment's last frame ends when the next segment's first one begins.
    times = contexts["clip/times"]
    joined = tf.concat([times[:, :-1].flat_values, times.flat_values[-1:]], axis=0)
    first = {key: values[0] for key, values in contexts.items()}
    numbers = contexts["clip/first_frame"]
    return {**frames, **_context_values(first), "times": joined, "first_frame": numbers}


def _context_values(context: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What `parse` returns of a context besides times."""
    return {
        "id": context["clip/id"],
        "video": context["clip/video"],
        "fps": context["clip/fps"],
        "flow_bound": context["flow/bound"],
        "label_index": context["clip/label/index"],
        "label_start": context["clip/label/start"],
        "label_end": context["clip/label/end"],
    }


def decode_frame(
    encoded: tf.Tensor,
    stream: str,
    flow_bound: tf.Tensor,
    box: tf.Tensor | None = None,
    window: JpegWindow | None = None,
) -> tf.Tensor:
    """Decodes one frame, or a box of it.

    Args:
      encoded: a scalar string.
      stream: rgb, flow or objects.
      flow_bound: of the record, in pixels.
      box: int32 [top, left, height, width], equal to cutting it out of the whole frame; None for all.
      window: `jpeg_window` of the box where the frame is known to be a JPEG, of which no more is then
        decoded than the box needs.

    Returns:
      rgb: uint8 [height, width, 3]; flow: float32 [height, width, 2] in pixels; objects: uint8 ids
      [height, width, 1].
    """
    if stream == "rgb":
        if window is not None:
            return _decode_jpeg_window(encoded, window)
        return _cut(tf.io.decode_jpeg(encoded, channels=3, dct_method=_DCT), box)  # takes PNGs too
    image = tf.io.decode_png(encoded, channels=1)
    if stream == "objects":
        return _cut(image, box)
    halves = tf.reshape(image, [2, -1, tf.shape(image)[1]])
    if box is not None:
        top, left, height, width = tf.unstack(box)
        halves = halves[:, top : top + height, left : left + width]
    x, y = tf.unstack((tf.cast(halves, tf.float32) - ZERO_CODE) * (flow_bound / CODES))
    # Made pairs by way of complex numbers: half the time of stacking along the last axis.
    return tf.bitcast(tf.complex(x, y)[..., tf.newaxis], tf.float32)[..., 0, :]


def encoded_size(encoded: tf.Tensor, stream: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the height and width of an encoded frame, scalars int32, from its header alone."""
    if stream == "rgb":
        size = tf.cond(are_jpegs(encoded), lambda: _jpeg_size(encoded), lambda: _png_size(encoded))
        return size[0], size[1]
    size = _png_size(encoded)
    return size[0] // 2 if stream == "flow" else size[0], size[1]


def are_jpegs(encoded: tf.Tensor) -> tf.Tensor:
    """Returns whether all frames are JPEGs, as rgb is stored; other writers may have chosen PNGs."""
    return tf.reduce_all(tf.strings.substr(encoded, 0, 1) == b"\xff")


def _jpeg_size(encoded: tf.Tensor) -> tf.Tensor:
    return tf.io.extract_jpeg_shape(encoded)[:2]


def _png_size(encoded: tf.Tensor) -> tf.Tensor:
    # A PNG begins with 8 bytes of signature and 8 of its first chunk's name, then width and height.
    return tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False)[::-1]


def jpeg_window(whole_width: tf.Tensor, box: tf.Tensor) -> JpegWindow:
    """Returns the part of JPEGs of a width to decode for a box.

    A column more on either side is decoded and dropped: colours are stored at half the width, and
    interpolating them at a border of the decoded part would differ from the whole picture. Of very
    narrow parts they are not interpolated at all. What begins between two blocks TensorFlow would
    copy once more, a tenth of the decoder's time.
    """
    top, left, height, width = tf.unstack(box)
    begin = tf.maximum(tf.minimum(left - 1, whole_width - _LEAST_DECODED), 0) // _BLOCK * _BLOCK
    right = tf.minimum(tf.maximum(left + width + 1, begin + _LEAST_DECODED), whole_width)
    decoded = tf.stack([top, begin, height, right - begin])
    return JpegWindow(decoded, tf.stack([0, left - begin, 0]), tf.stack([height, width, 3]))


def _decode_jpeg_window(encoded: tf.Tensor, window: JpegWindow) -> tf.Tensor:
    """Decodes a box without the transforms and colours of the blocks outside it."""
    decoded = tf.io.decode_and_crop_jpeg(encoded, window.decoded, channels=3, dct_method=_DCT)
    box = tf.slice(decoded, window.begin, window.size)
    box.set_shape([None, None, 3])
    return box


def _cut(image: tf.Tensor, box: tf.Tensor | None) -> tf.Tensor:
    if box is None:
        return image
    top, left, height, width = tf.unstack(box)
    return image[top : top + height, left : left + width]
