"""Training videos drawn by class: rare classes more often than they occur."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

# Exponent of a class's number of videos in its share of an epoch (Kang et al., ICLR 2020, equation 1).
_EXPONENTS = {"square_root": 0.5, "balanced": 0.0}


@dataclasses.dataclass(frozen=True)
class ClassSampling:
    """How often the videos of each class are drawn in an epoch, which has as many draws as there are videos.

    A class of n videos gets draws in proportion to n^0.5 (square_root), or as many as every other class (balanced);
    a fraction is rounded up in some epochs and down in others. The videos of a class take turns: none is drawn twice
    in an epoch before each was drawn once. A video of several classes is drawn for each of them; videos without a
    class keep their share.

    Attributes:
      kind: square_root or balanced.
      video_classes: of each video of the split, the indices of its classes.
    """

    kind: str
    video_classes: Sequence[Sequence[int]]

    def draws_of(self, positions: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function from the seeds of an epoch, int64 [2], to its draws, int64 [videos], grouped by class.

        Args:
          positions: of the videos to draw from, int64 [videos].
        """
        groups, shares = self._groups(positions)
        members, sizes = np.concatenate(groups), np.array([len(group) for group in groups])
        starts = np.cumsum(sizes) - sizes
        ends = np.cumsum(shares) * len(positions)

        def draw(seeds: tf.Tensor) -> tf.Tensor:
            # The same random offset for all ends: each class gets its draws rounded up or down, and all their sum.
            offset = tf.random.stateless_uniform([], seeds, dtype=tf.float64)
            reached = tf.cast(tf.floor(ends[:-1] + offset), tf.int64)
            reached = tf.concat([[0], reached, [len(positions)]], axis=0)
            wanted = reached[1:] - reached[:-1]
            rounds = -(-wanted // sizes)  # in each of which every video of a class has its turn
            slots = rounds * sizes
            group = tf.repeat(np.arange(len(sizes)), slots)
            slot = tf.range(tf.reduce_sum(slots)) - tf.gather(tf.cumsum(slots) - slots, group)
            turn, place = slot // tf.gather(sizes, group), slot % tf.gather(sizes, group)
            round_of_all = turn + tf.gather(tf.cumsum(rounds) - rounds, group)
            # Sorted by round, and at random within it: classes stay where they are.
            random = tf.random.stateless_uniform(tf.shape(group), seeds + 1, dtype=tf.float64)
            place = tf.gather(place, tf.argsort(tf.cast(round_of_all, tf.float64) + random))
            drawn = tf.gather(members, tf.gather(starts, group) + place)
            return tf.boolean_mask(drawn, slot < tf.gather(wanted, group))

        return draw

    def _groups(self, positions: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Returns the positions of each class, then of the videos without one; and each group's share of draws."""
        by_class: dict[int, list[int]] = {}
        without: list[int] = []
        for position in positions.tolist():
            for index in self.video_classes[position]:
                by_class.setdefault(index, []).append(position)
            if not self.video_classes[position]:
                without.append(position)
        groups = [np.array(by_class[index]) for index in sorted(by_class)]
        weights = np.array([len(group) for group in groups], float) ** _EXPONENTS[self.kind]
        shares = weights / weights.sum() * (1 - len(without) / len(positions))
        if without:
            groups.append(np.array(without))
            shares = np.append(shares, len(without) / len(positions))
        return groups, shares
