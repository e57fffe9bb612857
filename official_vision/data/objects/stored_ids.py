"""The ids that shards store for a network's classes."""

from __future__ import annotations

import numpy as np

from official_vision.architecture.neutral_values import UNLABELLED
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec


def stored_ids(classes: np.ndarray, spec: PrepareSpec) -> np.ndarray:
    """Returns uint8 ids of a network's class numbers: moved by the offset; 255 where it knows none."""
    ids = classes.astype(np.int64) + spec.object_id_offset
    unlabelled = (ids < 0) | (ids > UNLABELLED)
    if spec.object_unlabelled_id is not None:
        unlabelled |= classes == spec.object_unlabelled_id
    return np.where(unlabelled, UNLABELLED, ids).astype(np.uint8)


def check_class_count(classes: int, spec: PrepareSpec) -> None:
    """Checks that a network's classes have ids.

    Raises:
      UserError: there are more of them than ids that mean something.
    """
    if classes + spec.object_id_offset > UNLABELLED:
        raise UserError(
            f"Object ids are 0 to {UNLABELLED - 1}. Received: a network of {classes} classes with "
            f"PrepareSpec.object_id_offset = {spec.object_id_offset}. Take a network of fewer classes."
        )
