"""Mixup and cutmix over a batch: each clip has one partner for all its streams."""

from __future__ import annotations

import tensorflow as tf

from official_vision.specs import DataSpec

Tensors = dict[str, tf.Tensor]


def mix_batch(
    features: Tensors, targets: Tensors, spec: DataSpec, seed: tf.Tensor
) -> tuple[Tensors, Tensors]:
    """Mixes every clip of a batch with another one: mixup, cutmix, or one of them, drawn for each batch.

    The clip's share is drawn from Beta(alpha, alpha), a clip at a time (Zhang et al. 2018, Yun et
    al. 2019). Labels are mixed by the same shares. Masked rows neither give nor take.

    Args:
      features: rgb uint8 [batch, time, height, width, 3], flow float32 [batch, time, height, width,
        2], objects uint8 [batch, time, height, width]; any of them.
      targets: labels [batch, classes], mask [batch], frame_labels [batch, time, classes] where frames have theirs,
        and others, which stay.
      spec: mixup_alpha and cutmix_alpha; 0 leaves one out.
      seed: int [2].

    Returns:
      Features and targets of the same shapes and dtypes.
    """
    seeds = tf.random.split(seed, 3)
    batch = targets["mask"].shape[0]
    shift = tf.random.stateless_uniform([], seeds[0], 1, batch, tf.int32)
    partner = (tf.range(batch) + shift) % batch
    both_real = (targets["mask"] > 0) & (tf.gather(targets["mask"], partner) > 0)

    def by_mixup() -> tuple[Tensors, tf.Tensor]:
        share = tf.where(both_real, draw_shares(spec.mixup_alpha, batch, seeds[1]), 1.0)
        return mixup(features, partner, share), share

    def by_cutmix() -> tuple[Tensors, tf.Tensor]:
        share = tf.where(both_real, draw_shares(spec.cutmix_alpha, batch, seeds[1]), 1.0)
        size = next(iter(features.values())).shape[2]
        boxes = cut_boxes(share, size, seeds[2])
        return cutmix(features, partner, boxes), 1 - tf.reduce_mean(
            tf.cast(boxes, tf.float32), axis=[1, 2]
        )

    if spec.mixup_alpha and spec.cutmix_alpha:
        throw = tf.random.stateless_uniform([], tf.random.split(seeds[0], 1)[0]) < 0.5
        mixed, share = tf.cond(throw, by_mixup, by_cutmix)
    else:
        mixed, share = by_mixup() if spec.mixup_alpha else by_cutmix()
    labels = {
        name: _weighted(targets[name], partner, share)
        for name in ("labels", "frame_labels")
        if name in targets
    }
    return mixed, {**targets, **labels}


def draw_shares(alpha: float, batch: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws float32 [batch] from Beta(alpha, alpha)."""
    seeds = tf.random.split(seed, 2)
    # x / (x + y) of two Gamma(alpha) draws, by their logarithms: of a small alpha they are too small
    # for float32. Gamma(alpha) is Gamma(alpha + 1) * uniform^(1 / alpha) (Marsaglia & Tsang 2000).
    gamma = tf.random.stateless_gamma([2, batch], seeds[0], alpha + 1)
    uniform = 1 - tf.random.stateless_uniform([2, batch], seeds[1])  # never 0
    first, second = tf.unstack(tf.math.log(gamma) + tf.math.log(uniform) / alpha)
    return tf.sigmoid(first - second)


def mixup(features: Tensors, partner: tf.Tensor, share: tf.Tensor) -> Tensors:
    """Blends clips with their partners.

    rgb and flow are averaged by share; the flow of two pictures that move differently is then no
    picture's, as the mixed rgb is no picture. Ids are names and have no average: those of whichever
    clip has the greater share are taken whole, the clip's at a tie.

    Args:
      features: as in `mix_batch`.
      partner: int32 [batch], rows.
      share: float32 [batch], of the clip itself.
    """
    mixed = {}
    for name, x in features.items():
        if name == "objects":
            first_is_larger = tf.reshape(share >= 0.5, [-1, 1, 1, 1])
            mixed[name] = tf.where(first_is_larger, x, tf.gather(x, partner))
        else:
            mixed[name] = _weighted(x, partner, share)
    return mixed


def cutmix(features: Tensors, partner: tf.Tensor, boxes: tf.Tensor) -> Tensors:
    """Puts a box of the partner's pixels into all frames and streams of each clip.

    Args:
      features: as in `mix_batch`.
      partner: int32 [batch], rows.
      boxes: bool [batch, height, width], true inside the box.
    """
    mixed = {}
    for name, x in features.items():
        inside = boxes[:, tf.newaxis]
        inside = inside[..., tf.newaxis] if x.shape.rank == 5 else inside
        mixed[name] = tf.where(inside, tf.gather(x, partner), x)
    return mixed


def cut_boxes(share: tf.Tensor, size: int, seed: tf.Tensor) -> tf.Tensor:
    """Returns boxes of 1 - share of a frame's area around a random pixel, cut off at its borders.

    Args:
      share: float32 [batch], left of the clip before cutting off and rounding.
      size: height and width of the frames.
      seed: int [2].

    Returns:
      bool [batch, size, size], true inside the box; its area is the share that was really replaced.
    """
    sides = tf.cast(tf.sqrt(1 - share) * size, tf.int32)
    centres = tf.random.stateless_uniform([2, sides.shape[0]], seed, 0, size, tf.int32)
    begins = centres - sides // 2
    pixels = tf.range(size)

    def within(begin: tf.Tensor) -> tf.Tensor:
        return (pixels >= begin[:, tf.newaxis]) & (pixels < (begin + sides)[:, tf.newaxis])

    rows, columns = within(begins[0]), within(begins[1])
    return rows[:, :, tf.newaxis] & columns[:, tf.newaxis]


def _weighted(x: tf.Tensor, partner: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Returns share * x + (1 - share) * partner's, in x's dtype."""
    weight = tf.reshape(share, [-1] + [1] * (x.shape.rank - 1))
    wide = tf.cast(x, tf.float32)
    mixed = weight * wide + (1 - weight) * tf.gather(wide, partner)
    return tf.cast(tf.round(mixed), x.dtype) if x.dtype == tf.uint8 else mixed
