"""The shard format, written and read side by side: TFRecords of SequenceExamples.

The keys are a superset of Model Garden's, whose own video reader takes these shards (rgb and labels).

    context        clip/id, clip/video (row of the split), clip/fps,
                   clip/label/index, clip/label/text, clip/label/start, clip/label/end (seconds; -1 = whole),
                   flow/bound (pixels)
    feature lists  image/encoded    a JPEG a frame
                   flow/encoded     a grey PNG a frame, x codes above y codes: [2 * height, width]
                   objects/encoded  a grey PNG of ids a frame

Frames are encoded by data/frame_encoding.py, in processes without TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from official_vision.data.flow import CODES, ZERO_CODE

WHOLE_VIDEO = -1.0
ENCODED_KEYS = {"rgb": "image/encoded", "flow": "flow/encoded", "objects": "objects/encoded"}


@dataclasses.dataclass(frozen=True)
class StoredVideo:
    """A video as it is stored.

    Attributes:
      id, video: its name and its row number in the split.
      fps: frames a second.
      labels: (class index, class name, start, end) with seconds, WHOLE_VIDEO for both ends of a
        label that holds throughout.
      flow_bound: greatest stored displacement in pixels.
      frames: encoded bytes of each stream, one a frame.
    """

    id: str
    video: int
    fps: float
    labels: Sequence[tuple[int, str, float, float]]
    flow_bound: float
    frames: dict[str, list[bytes]]


def encode(video: StoredVideo) -> bytes:
    """Returns the video as a serialised SequenceExample."""
    example = tf.train.SequenceExample()
    context = example.context.feature
    context["clip/id"].bytes_list.value.append(video.id.encode())
    context["clip/video"].int64_list.value.append(video.video)
    context["clip/fps"].float_list.value.append(video.fps)
    context["flow/bound"].float_list.value.append(video.flow_bound)
    # An empty feature still has a kind; readers of variable length ask for it.
    context["clip/label/index"].int64_list.value.extend(label[0] for label in video.labels)
    context["clip/label/text"].bytes_list.value.extend(label[1].encode() for label in video.labels)
    context["clip/label/start"].float_list.value.extend(label[2] for label in video.labels)
    context["clip/label/end"].float_list.value.extend(label[3] for label in video.labels)
    for stream, frames in video.frames.items():
        feature_list = example.feature_lists.feature_list[ENCODED_KEYS[stream]]
        for frame in frames:
            feature_list.feature.add().bytes_list.value.append(frame)
    # Deterministic order of the context's keys: equal videos give equal bytes.
    return example.SerializeToString(deterministic=True)


def parse(serialized: tf.Tensor, streams: Sequence[str]) -> dict[str, tf.Tensor]:
    """Reads a record without decoding its frames.

    Args:
      serialized: a scalar string.
      streams: of rgb, flow and objects, those to read.

    Returns:
      A string [time] for each stream, and id, video, fps, flow_bound (scalars), label_index int64,
      label_start and label_end float32 [labels].
    """
    context, sequences = tf.io.parse_single_sequence_example(
        serialized,
        context_features={
            "clip/id": tf.io.FixedLenFeature([], tf.string),
            "clip/video": tf.io.FixedLenFeature([], tf.int64),
            "clip/fps": tf.io.FixedLenFeature([], tf.float32),
            "flow/bound": tf.io.FixedLenFeature([], tf.float32),
            "clip/label/index": tf.io.VarLenFeature(tf.int64),
            "clip/label/start": tf.io.VarLenFeature(tf.float32),
            "clip/label/end": tf.io.VarLenFeature(tf.float32),
        },
        sequence_features={
            ENCODED_KEYS[name]: tf.io.FixedLenSequenceFeature([], tf.string) for name in streams
        },
    )
    return {
        **{name: sequences[ENCODED_KEYS[name]] for name in streams},
        "id": context["clip/id"],
        "video": context["clip/video"],
        "fps": context["clip/fps"],
        "flow_bound": context["flow/bound"],
        "label_index": tf.sparse.to_dense(context["clip/label/index"]),
        "label_start": tf.sparse.to_dense(context["clip/label/start"]),
        "label_end": tf.sparse.to_dense(context["clip/label/end"]),
    }


def decode_frame(encoded: tf.Tensor, stream: str, flow_bound: tf.Tensor) -> tf.Tensor:
    """Decodes one frame.

    Args:
      encoded: a scalar string.
      stream: rgb, flow or objects.
      flow_bound: of the record, in pixels.

    Returns:
      rgb: uint8 [height, width, 3]; flow: float32 [height, width, 2] in pixels; objects: uint8 ids
      [height, width, 1].
    """
    if stream == "rgb":
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    image = tf.io.decode_png(encoded, channels=1)
    if stream == "objects":
        return image
    codes = tf.concat(tf.split(image, 2, axis=0), axis=-1)
    return (tf.cast(codes, tf.float32) - ZERO_CODE) * (flow_bound / CODES)
