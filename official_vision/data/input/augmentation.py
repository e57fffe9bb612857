"""Changes to a training clip's values: colours, and whole streams blanked.

Every random number is a function of the seed. All frames of a clip are changed alike, with
statistics of the whole clip where an operation needs them, so that a point keeps its brightness
along its flow. Colours are of rgb alone; what moves pixels (crop, flip) is in data/input/geometry.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from official_vision.architecture.neutral_values import NEUTRAL
from official_vision.specs import DataSpec


def jitter_colours(rgb: tf.Tensor, spec: DataSpec, seed: tf.Tensor) -> tf.Tensor:
    """Jitters brightness, contrast, saturation and hue at random, in this order, each within its setting.

    As torchvision's ColorJitter (factors uniform in 1 - strength .. 1 + strength, hue shifted by
    up to its strength in turns of the colour circle), but for the order, which is fixed, and the
    mean that contrast keeps, which is the clip's.

    Args:
      rgb: uint8 [time, height, width, 3].
      spec: of the clip.
      seed: int [2].

    Returns:
      uint8 [time, height, width, 3].
    """
    strengths = (spec.brightness, spec.contrast, spec.saturation, spec.hue)
    shifts = tf.unstack(tf.random.stateless_uniform([4], seed, -1.0, 1.0) * strengths)
    x = tf.cast(rgb, tf.float32)
    if spec.brightness:
        x = _clipped(x * (1 + shifts[0]))
    if spec.contrast:
        mean = tf.reduce_mean(tf.image.rgb_to_grayscale(x))
        x = _clipped(mean + (x - mean) * (1 + shifts[1]))
    if spec.saturation:
        grey = tf.image.rgb_to_grayscale(x)
        x = _clipped(grey + (x - grey) * (1 + shifts[2]))
    if spec.hue:
        x = _clipped(tf.image.adjust_hue(x / 255, shifts[3]) * 255)
    return tf.cast(tf.round(x), tf.uint8)


def rand_augment(rgb: tf.Tensor, spec: DataSpec, seed: tf.Tensor) -> tf.Tensor:
    """Applies RandAugment (Cubuk et al. 2020) to a clip: `rand_augment_layers` random operations in a row.

    Of the paper's 14 operations the nine that change values. Those that move pixels (rotation,
    shears, translations) are left out: flow would have to be turned with them, and crops and flips
    move all streams already. Magnitudes grow evenly to 10: colour, contrast, brightness and
    sharpness by a factor of 1 - 0.9 or 1 + 0.9, four bits lost, solarised from grey 0 on.

    Args:
      rgb: uint8 [time, height, width, 3].
      spec: of the clip.
      seed: int [2].

    Returns:
      uint8 [time, height, width, 3].
    """
    for layer_seed in tf.unstack(tf.random.split(seed, spec.rand_augment_layers)):
        draws = tf.unstack(tf.random.stateless_uniform([2], layer_seed))
        number = tf.cast(draws[0] * len(OPERATIONS), tf.int32)
        branches = [
            lambda name=name, sign=sign, x=rgb: colour_operation(
                x, name, spec.rand_augment_magnitude, sign
            )
            for name in OPERATIONS
            for sign in (-1, 1)
        ]
        rgb = tf.switch_case(2 * number + tf.cast(draws[1] < 0.5, tf.int32), branches)
    return rgb


OPERATIONS = (
    "identity",
    "autocontrast",
    "equalize",
    "solarize",
    "posterize",
    "color",
    "contrast",
    "brightness",
    "sharpness",
)


def colour_operation(rgb: tf.Tensor, name: str, magnitude: float, sign: int) -> tf.Tensor:
    """Applies one operation of RandAugment, by Model Garden.

    Args:
      rgb: uint8 [time, height, width, 3].
      name: one of OPERATIONS.
      magnitude: 0 to 10.
      sign: -1 weakens, 1 strengthens; the first five operations have no direction.

    Returns:
      uint8 [time, height, width, 3].
    """
    # Imported late: Model Garden's other tasks come with it, half a second of every start.
    from official.vision.ops import augment

    strength = magnitude / 10
    if name == "identity":
        return tf.identity(rgb)
    if name == "posterize":
        return augment.posterize(rgb, 8 - round(4 * strength))
    if name == "solarize":
        threshold = round(256 * (1 - strength))
        return rgb if threshold > 255 else augment.solarize(rgb, tf.constant(threshold, tf.uint8))
    if name in ("autocontrast", "equalize"):
        return getattr(augment, name)(rgb)
    factor = 1 + 0.9 * strength * sign
    if name == "contrast":
        # One high picture of all frames: contrast keeps the mean of a picture.
        tall = tf.reshape(rgb, tf.concat([[-1], tf.shape(rgb)[2:]], axis=0))
        return tf.reshape(augment.contrast(tall, factor), tf.shape(rgb))
    return getattr(augment, name)(rgb, factor)


def drop_streams(
    features: Mapping[str, tf.Tensor], spec: DataSpec, seed: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Blanks whole streams of a clip, each at its rate; one of a clip's streams always stays.

    Where every stream of a clip would be blanked, none is.

    Args:
      features: streams of one clip, of any shapes.
      spec: of the clip.
      seed: int [2].

    Returns:
      The same streams; a blanked one has its neutral value throughout.
    """
    rates = {"rgb": spec.rgb_dropout, "flow": spec.flow_dropout, "objects": spec.objects_dropout}
    names = list(features)
    draws = tf.random.stateless_uniform([len(names)], seed)
    taken = draws < tf.constant([rates[name] for name in names])
    taken &= ~tf.reduce_all(taken)
    return {
        name: tf.where(taken[row], tf.cast(NEUTRAL[name], x.dtype), x)
        for row, (name, x) in enumerate(features.items())
    }


def augment_clip(
    features: Mapping[str, tf.Tensor], spec: DataSpec, seed: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Applies all changes that `spec` sets: colour jitter, RandAugment, stream dropout.

    Args:
      features: rgb uint8 [time, height, width, 3], flow and objects; any of them.
      spec: of the clip.
      seed: int [2].

    Returns:
      The same streams, of the same shapes and dtypes.
    """
    seeds = tf.random.split(seed, 3)
    features = dict(features)
    if "rgb" in features:
        if spec.brightness or spec.contrast or spec.saturation or spec.hue:
            features["rgb"] = jitter_colours(features["rgb"], spec, seeds[0])
        if spec.rand_augment_layers:
            shape = features["rgb"].shape
            augmented = rand_augment(features["rgb"], spec, seeds[1])
            features["rgb"] = tf.ensure_shape(augmented, shape)
    if spec.rgb_dropout or spec.flow_dropout or spec.objects_dropout:
        features = drop_streams(features, spec, seeds[2])
    return features


def _clipped(rgb: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(rgb, 0.0, 255.0)
