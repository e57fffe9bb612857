"""Decodes requests to the network's inputs inside an exported graph; damaged parts are named by their place."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from official_vision.data.input import clip_span as span
from official_vision.data.input.clip import decode_clip, frame_size, num_frames
from official_vision.data.input.geometry import crop_and_resize, evaluation_box
from official_vision.data.storage.damaged_segments import or_blank
from official_vision.data.storage.shard import ENCODED_KEYS, encoded_size, parse
from official_vision.modeling.inputs import input_signature
from official_vision.serving.export.request_checks import checked_encoded
from official_vision.specs import DataSpec


def decoded_frames(frames: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes frames and cuts out their middle square, as evaluation with one crop does.

    Args:
      frames: string [batch, time]: JPEG or PNG files.
      size: of the square that is left, in pixels.

    Returns:
      uint8 [batch, time, size, size, 3], once an assertion has passed that every frame could be decoded. A
      JPEG file that begins and ends as one, but whose entropy-coded data is cut or changed, is decoded as
      far as it goes: libjpeg only warns, and neither TensorFlow nor Pillow reports it.
    """
    shape = tf.shape(frames)
    one = (tf.TensorSpec([size, size, 3], tf.uint8), tf.TensorSpec([], tf.bool))
    pixels, whole = tf.map_fn(
        lambda encoded: or_blank(lambda: (_middle_square(encoded, size), tf.constant(True))),
        tf.reshape(checked_encoded(frames), [-1]),
        fn_output_signature=one,
    )
    rule = "frames must be whole JPEG or PNG files. Received one that is damaged at [batch, time]"
    with tf.control_dependencies([_refused_where(~tf.reshape(whole, shape[:2]), rule)]):
        return tf.reshape(pixels, [shape[0], shape[1], size, size, 3])


def middle_clips(
    records: tf.Tensor, streams: tuple[str, ...], clip: DataSpec
) -> dict[str, tf.Tensor]:
    """Takes the middle clip of each record, as evaluation with one view and one crop does.

    Args:
      records: string [batch], of data/storage/shard.py.
      streams: to decode.
      clip: frames, step, size and filling of a clip.

    Returns:
      The network's input streams, once assertions pass: there is a record, each can be read, and
      its streams have frames, as many of each, that can be decoded and are equally large.
    """
    shapes = input_signature(streams, 1, clip.frames, clip.size)
    one = {name: tf.TensorSpec(spec.shape[1:], spec.dtype) for name, spec in shapes.items()}
    flags = {name: tf.TensorSpec([], tf.bool) for name in ("record", *streams)}
    clips, whole = tf.map_fn(
        lambda record: _middle_clip(record, streams, clip),
        records,
        fn_output_signature=(one, flags),
    )
    with tf.control_dependencies(_record_checks(records, streams, whole)):
        return {name: tf.identity(value) for name, value in clips.items()}


def _middle_square(encoded: tf.Tensor, size: int) -> tf.Tensor:
    picture = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    picture.set_shape([None, None, 3])
    box = evaluation_box(tf.shape(picture)[0], tf.shape(picture)[1], tf.constant(0.5))
    return crop_and_resize({"rgb": picture[tf.newaxis]}, box, size, tf.constant(False))["rgb"][0]


def _middle_clip(
    serialized: tf.Tensor, streams: tuple[str, ...], clip: DataSpec
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns one record's clip, blank where it is damaged, and which of its parts are whole."""
    record, readable = or_blank(lambda: (parse(serialized, streams), tf.constant(True)))
    length = num_frames(record, streams)
    start = span.evaluation_start(length, clip, tf.constant(0))
    height, width = or_blank(lambda: frame_size(record, start, streams))
    box = evaluation_box(height, width, tf.constant(0.5))
    decoded, whole = {}, {"record": readable}
    for name in streams:

        def stream(name: str = name) -> tuple[tf.Tensor, tf.Tensor]:
            stream_height, stream_width = encoded_size(record[name][start], name)
            alike = (stream_height == height) & (stream_width == width)
            values = decode_clip(record, start, box, tf.constant(False), clip, (name,))[name]
            return values, alike & (num_frames(record, (name,)) == length)

        decoded[name], whole[name] = or_blank(stream)
    return decoded, whole


def _record_checks(
    records: tf.Tensor, streams: tuple[str, ...], whole: Mapping[str, tf.Tensor]
) -> list[tf.Operation]:
    keys = ", ".join(ENCODED_KEYS[name] for name in streams)
    some = tf.debugging.Assert(
        tf.size(records) > 0,
        ["records must be string [batch] with at least one. Received:", tf.shape(records)],
    )
    rule = (
        f"records must be SequenceExamples that hold {keys}. Received one that is none at [batch]"
    )
    checks = [some, _refused_where(~whole["record"], rule)]
    for name in streams:
        alike = "" if name == streams[0] else f", as many and as large as of {streams[0]}"
        rule = (
            f"records must hold whole frames of {name} in {ENCODED_KEYS[name]}{alike}. "
            "Received one that does not at [batch]"
        )
        checks.append(_refused_where(whole["record"] & ~whole[name], rule))
    return [check for check in checks if check is not None]


def _refused_where(damaged: tf.Tensor, rule: str) -> tf.Operation:
    return tf.debugging.Assert(~tf.reduce_any(damaged), [rule, tf.where(damaged)])
