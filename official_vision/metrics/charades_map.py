"""The official scoring of Charades and its submission file (numpy only).

`Charades_v1_classify.m`, which comes with the data set, differs from scikit-learn's average precision
in two rules. A video without any action is not among the submitted ones, whose ids come from
labelled videos, and so ranks behind all others: what is scored for it is never a false positive. And
equal scores are ranked in the order of the ground truth's file, where scikit-learn counts them together.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from official_vision import files
from official_vision.errors import UserError
from official_vision.metrics.ranking import ranks_in_order

CLASSES = 157


def is_charades(class_names: Sequence[str]) -> bool:
    """Returns whether classes are those of Charades_v1_classes.txt: c000 and its text, to c156."""
    return len(class_names) == CLASSES and all(
        name.split(" ")[0] == f"c{number:03d}" for number, name in enumerate(class_names)
    )


def official_ranks(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Replaces scores by ranks in the official order, so that no two of a class are equal.

    The average precision of the ranks is the official one. A class without a positive has none here,
    and is left out of means; the official script's mean is then not a number. (Charades has none.)

    Args:
      scores: [videos, classes], videos in the order of the ground truth's file.
      labels: multi-hot [videos, classes].

    Returns:
      float64 [videos, classes], the greatest for the video that ranks first.
    """
    placed = np.where((labels > 0).any(axis=1)[:, np.newaxis], scores, -np.inf)
    return ranks_in_order(placed)


def write_submission(
    path: str | os.PathLike, ids: Sequence[str], scores: np.ndarray, class_names: Sequence[str]
) -> None:
    """Writes the text file that the official script reads: one line per video with its id and 157 scores.

    Args:
      path: of the file.
      ids: of the videos, as in Charades_v1_test.csv.
      scores: [videos, 157], in the order of Charades_v1_classes.txt.
      class_names: of the columns.

    Raises:
      UserError: another number of classes, or an id with a space.
    """
    check_submission(ids, class_names)
    lines = (
        f"{name} {' '.join(f'{score:.9g}' for score in row)}\n"
        for name, row in zip(ids, scores, strict=True)
    )
    files.write_text(path, "".join(lines))


def check_submission(ids: Sequence[str], class_names: Sequence[str]) -> None:
    """Raises UserError unless there are 157 classes and every id is one word."""
    if len(class_names) != CLASSES:
        raise UserError(
            f"A submission to Charades has {CLASSES} classes. Received: {len(class_names)}, {class_names[0]!r} the "
            "first. Evaluate on data prepared from Charades."
        )
    spaced = [name for name in ids if len(name.split()) != 1]
    if spaced:
        raise UserError(
            f"An id in a submission to Charades is one word. Received: {spaced[0]!r}. Evaluate on data prepared "
            "from Charades."
        )
