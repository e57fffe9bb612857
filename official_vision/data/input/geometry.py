"""Crop, resize and flip of all streams of a clip together, and of flow's values with its pixels."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

# Random crops are up to a third wider or higher than square (Szegedy et al. 2015).
_MOST_ELONGATED = 4 / 3
_CROP_TRIES = 10


def crop_and_resize(
    features: Mapping[str, tf.Tensor], box: tf.Tensor, size: int, flip: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Cuts one box out of every frame of every stream, resizes it and mirrors it if `flip` is set.

    rgb and flow are interpolated, ids take the nearest pixel's. Flow is measured in pixels: it grows
    with each axis of the picture, and its x changes sign in the mirror.

    Args:
      features: rgb uint8 [time, height, width, 3], flow float32 [time, height, width, 2], objects
        uint8 [time, height, width, 1]; any of them.
      box: int32 [top, left, height, width] in pixels.
      size: height and width of the result.
      flip: a scalar bool.

    Returns:
      The same streams with height = width = size; rgb stays uint8.
    """
    top, left, height, width = tf.unstack(box)
    return {
        name: resize(name, x[:, top : top + height, left : left + width], box, size, flip)
        for name, x in features.items()
    }


def resize(stream: str, cut: tf.Tensor, box: tf.Tensor, size: int, flip: tf.Tensor) -> tf.Tensor:
    """Resizes the box of one stream's frames, and mirrors it if `flip` is set.

    Args:
      stream: rgb, flow or objects.
      cut: [time, height, width, channels], as `crop_and_resize` takes it, of the box alone.
      box: int32 [top, left, height, width], what was cut.
      size: height and width of the result.
      flip: a scalar bool.

    Returns:
      [time, size, size, channels] in the stream's dtype.
    """
    if stream == "objects":
        return _nearest(cut, size, flip)
    # Mirrored first, while rgb is of one byte and, mostly, of fewer pixels. What tf.image.resize does,
    # without its dozens of small operations for every frame; of bytes it would take twice as long.
    pixels = tf.cast(_mirrored(cut, flip), tf.float32)
    resized = tf.raw_ops.ResizeBilinear(images=pixels, size=[size, size], half_pixel_centers=True)
    if stream == "rgb":
        return tf.cast(tf.round(resized), tf.uint8)
    ratio = tf.cast(size, tf.float32) / tf.cast(tf.stack([box[3], box[2]]), tf.float32)
    return resized * (ratio * tf.stack([tf.where(flip, -1.0, 1.0), 1.0]))


def _nearest(cut: tf.Tensor, size: int, flip: tf.Tensor) -> tf.Tensor:
    """Resizes to the nearest pixel; half-way positions take the same side whether mirrored or not."""

    def chosen(length: tf.Tensor) -> tf.Tensor:
        return (2 * tf.range(size) + 1) * length // (2 * size)

    columns = chosen(tf.shape(cut)[2])
    columns = tf.where(flip, columns[::-1], columns)
    return tf.gather(tf.gather(cut, chosen(tf.shape(cut)[1]), axis=1), columns, axis=2)


def _mirrored(frames: tf.Tensor, flip: tf.Tensor) -> tf.Tensor:
    """Mirrors rgb and flow by TensorFlow's fastest way: it takes a sixth of reversing the frames as they are."""

    def mirror() -> tf.Tensor:
        if frames.dtype == tf.float32:  # both numbers of a vector as one
            return tf.bitcast(tf.reverse(tf.bitcast(frames, tf.int64), axis=[2]), tf.float32)
        rows = tf.reshape(frames, [-1, tf.shape(frames)[2], frames.shape[3]])
        return tf.reshape(tf.reverse(rows, axis=[1]), tf.shape(frames))

    return tf.cond(flip, mirror, lambda: frames)


def evaluation_box(height: tf.Tensor, width: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Returns the greatest square, at `position` (0..1) along the longer side; int32 [top, left, side, side]."""
    side = tf.minimum(height, width)

    def place(length: tf.Tensor) -> tf.Tensor:
        room = tf.cast(length - side, tf.float32)
        return tf.cast(tf.round(room * tf.cast(position, tf.float32)), tf.int32)

    return tf.stack([place(height), place(width), side, side])


def random_box(height: tf.Tensor, width: tf.Tensor, min_area: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws a box of at least `min_area` of the frame and of moderate aspect.

    Args:
      height, width: of the frame, int32 scalars.
      min_area: least share of the frame's area (but for rounding to whole pixels).
      seed: int [2]; the box is a function of it.

    Returns:
      int32 [top, left, height, width]; the greatest square, at a random place, where no draw fits.
    """
    seeds = tf.random.split(seed, 4)
    tries = [_CROP_TRIES]
    area = tf.random.stateless_uniform(tries, seeds[0], min_area, 1.0)
    spread = tf.math.log(_MOST_ELONGATED)
    aspect = tf.exp(tf.random.stateless_uniform(tries, seeds[1], -spread, spread))
    pixels = area * tf.cast(height * width, tf.float32)
    box_width = tf.cast(tf.round(tf.sqrt(pixels * aspect)), tf.int32)
    box_height = tf.cast(tf.round(tf.sqrt(pixels / aspect)), tf.int32)
    fits = (box_width <= width) & (box_height <= height) & (box_width > 0) & (box_height > 0)
    first = tf.argmax(tf.cast(fits, tf.int32))
    place = tf.random.stateless_uniform([2], seeds[2])
    room = tf.stack([height - box_height[first], width - box_width[first]])
    corner = tf.cast(tf.floor(place * tf.cast(room + 1, tf.float32)), tf.int32)
    drawn = tf.concat([corner, [box_height[first], box_width[first]]], axis=0)
    square = evaluation_box(height, width, tf.random.stateless_uniform([], seeds[3]))
    return tf.where(tf.reduce_any(fits), drawn, square)
