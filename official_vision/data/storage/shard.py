"""The shard format, written and read side by side: TFRecords of SequenceExamples.

The keys are a superset of Model Garden's, whose video reader reads these shards (rgb and labels).

    context        clip/id, clip/video (row of the split), clip/fps,
                   clip/label/index, clip/label/text, clip/label/start, clip/label/end (seconds; -1 = whole),
                   clip/times (seconds: when each frame begins, and the last one ends),
                   flow/bound (pixels)
    feature lists  image/encoded    a JPEG per frame
                   flow/encoded     a grey PNG per frame, x codes above y codes: [2 * height, width]
                   objects/encoded  a grey PNG of ids per frame

Frames are encoded by data/storage/frame_encoding.py, in processes without TensorFlow. For every decoder they are
plain JPEGs and PNGs; each also carries what lets it be read by itself (data/storage/frame_records.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import tensorflow as tf

from official_vision.data.optical_flow import CODES, ZERO_CODE
from official_vision.data.storage.frame_lists import record_blocks
from official_vision.data.storage.records import append_record

WHOLE_VIDEO = -1.0
ENCODED_KEYS = {"rgb": "image/encoded", "flow": "flow/encoded", "objects": "objects/encoded"}
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


@dataclasses.dataclass(frozen=True)
class StoredVideo:
    """A stored video.

    Attributes:
      id, video: its name and its row number in the split.
      fps: frames per second.
      labels: (class index, class name, start, end) with seconds, WHOLE_VIDEO for both ends of a
        label that applies throughout.
      flow_bound: greatest stored displacement in pixels.
      frames: for each stream the file of its encoded frames, as data/storage/frame_lists.py writes it.
      times_sec: [frames + 1], when each frame begins and the last one ends; empty where frames come at
        the steady rate `fps`.
    """

    id: str
    video: int
    fps: float
    labels: Sequence[tuple[int, str, float, float]]
    flow_bound: float
    frames: dict[str, Path]
    times_sec: Sequence[float] = ()


def write(video: StoredVideo, file: BinaryIO) -> None:
    """Appends a video's record to a shard, block by block: its frames are never in memory together.

    Equal videos give equal bytes: those of tf.train.SequenceExample, serialised deterministically.
    """
    context = tf.train.Features()
    feature = context.feature
    feature["clip/id"].bytes_list.value.append(video.id.encode())
    feature["clip/video"].int64_list.value.append(video.video)
    feature["clip/fps"].float_list.value.append(video.fps)
    feature["flow/bound"].float_list.value.append(video.flow_bound)
    # An empty feature still has a kind; readers of variable length need it.
    feature["clip/label/index"].int64_list.value.extend(label[0] for label in video.labels)
    feature["clip/label/text"].bytes_list.value.extend(label[1].encode() for label in video.labels)
    feature["clip/label/start"].float_list.value.extend(label[2] for label in video.labels)
    feature["clip/label/end"].float_list.value.extend(label[3] for label in video.labels)
    feature["clip/times"].float_list.value.extend(video.times_sec)
    lists = {ENCODED_KEYS[stream]: path for stream, path in video.frames.items()}
    append_record(file, *record_blocks(context.SerializeToString(deterministic=True), lists))


# The features of a record's context that readers parse.
CONTEXT_FEATURES = {
    "clip/id": tf.io.FixedLenFeature([], tf.string),
    "clip/video": tf.io.FixedLenFeature([], tf.int64),
    "clip/fps": tf.io.FixedLenFeature([], tf.float32),
    "flow/bound": tf.io.FixedLenFeature([], tf.float32),
    "clip/label/index": tf.io.VarLenFeature(tf.int64),
    "clip/label/start": tf.io.VarLenFeature(tf.float32),
    "clip/label/end": tf.io.VarLenFeature(tf.float32),
    "clip/times": tf.io.VarLenFeature(tf.float32),
}


def parse(serialized: tf.Tensor, streams: Sequence[str]) -> dict[str, tf.Tensor]:
    """Reads a record without decoding its frames.

    Args:
      serialized: a scalar string.
      streams: of rgb, flow and objects, those to read.

    Returns:
      A string [time] for each stream, and id, video, fps, flow_bound (scalars), label_index int64,
      label_start and label_end float32 [labels], times float32 [time + 1] or [0].
    """
    context, sequences = tf.io.parse_single_sequence_example(
        serialized,
        context_features=CONTEXT_FEATURES,
        sequence_features={
            ENCODED_KEYS[name]: tf.io.FixedLenSequenceFeature([], tf.string) for name in streams
        },
    )
    return {
        **{name: sequences[ENCODED_KEYS[name]] for name in streams},
        **context_values(context),
    }


def context_values(context: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns what `parse` returns besides streams, from parsed CONTEXT_FEATURES."""
    return {
        "id": context["clip/id"],
        "video": context["clip/video"],
        "fps": context["clip/fps"],
        "flow_bound": context["flow/bound"],
        "label_index": tf.sparse.to_dense(context["clip/label/index"]),
        "label_start": tf.sparse.to_dense(context["clip/label/start"]),
        "label_end": tf.sparse.to_dense(context["clip/label/end"]),
        "times": tf.sparse.to_dense(context["clip/times"]),
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
