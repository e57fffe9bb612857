"""Divides the videos of annotations without splits into train, validation and test."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping

from official_vision.data.annotations.manifest import Manifest, VideoRow
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec

TRAIN, VALIDATION, TEST = "train", "validation", "test"


def divide(manifest: Manifest, spec: PrepareSpec) -> Manifest:
    """Gives every video a split, as the seed chooses; a manifest that has splits stays as it is.

    Videos of one group, and parts of one file, get the same split. Every class is divided by the shares
    (its videos in steps of whole groups), and each split gets one of its groups as far as they suffice.

    Args:
      manifest: videos, of which all or none have a split.
      spec: validation_share, test_share and split_seed.

    Returns:
      The manifest with splits, and with lines on how many videos each got.

    Raises:
      UserError: shares that leave nothing for training, parts of a file in two groups, or fewer groups
        than splits.
    """
    if all(row.split for row in manifest.rows):
        return manifest
    shares = _shares(spec)
    groups = _groups(manifest)
    if len(groups) < len(shares):
        raise UserError(
            f"Videos to divide must come in at least {len(shares)} groups (without a group a file is one). "
            f"Received: {len(groups)}. Add videos, or name the splits in the annotations."
        )
    chosen = _chosen(groups, shares, spec.split_seed)
    rows = tuple(
        dataclasses.replace(row, split=chosen[row.group or row.path]) for row in manifest.rows
    )
    divided = dataclasses.replace(manifest, rows=rows)
    return dataclasses.replace(divided, division=_notes(divided, spec))


def _shares(spec: PrepareSpec) -> dict[str, float]:
    """Returns each split's share, without those of share 0."""
    train = 1.0 - spec.validation_share - spec.test_share
    if train <= 0:
        raise UserError(
            "PrepareSpec.validation_share and test_share must leave videos for training, less than 1 together. "
            f"Received: {spec.validation_share:g} and {spec.test_share:g}. Lower one."
        )
    shares = {TRAIN: train, VALIDATION: spec.validation_share, TEST: spec.test_share}
    return {split: share for split, share in shares.items() if share}


def _groups(manifest: Manifest) -> dict[str, list[VideoRow]]:
    groups: dict[str, list[VideoRow]] = defaultdict(list)
    group_of: dict[str, str] = {}
    for row in manifest.rows:
        key = row.group or row.path
        if group_of.setdefault(row.path, key) != key:
            raise UserError(
                f"The parts of a file must be of one group, since one split may show them. Received: {row.path}, "
                f"in {group_of[row.path]!r} and {key!r}. Mend its group."
            )
        groups[key].append(row)
    return groups


def _chosen(
    groups: Mapping[str, list[VideoRow]], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Assigns group by group, in an order drawn by the seed, to the split that lacks its classes most."""
    labels = {key: _labels(rows) for key, rows in groups.items()}
    with_class = Counter(label for classes in labels.values() for label in classes)
    lacking = {
        split: {label: _wanted(split, count, shares) for label, count in with_class.items()}
        for split in shares
    }
    # Groups of rare classes first: of common ones there are enough to choose from later.
    order = sorted(
        groups, key=lambda key: (min(with_class[x] for x in labels[key]), _draw(key, seed))
    )
    chosen = {}
    for key in order:
        split = max(shares, key=lambda s: sum(lacking[s][x] / with_class[x] for x in labels[key]))
        chosen[key] = split
        for label in labels[key]:
            lacking[split][label] -= 1
    for split in shares:
        # If every class has only one group, a split may stay empty: it gets the smallest group.
        if split not in chosen.values():
            fullest = Counter(chosen.values()).most_common(1)[0][0]
            spare = [key for key in reversed(order) if chosen[key] == fullest]
            chosen[min(spare, key=lambda key: len(groups[key]))] = split
    return chosen


def _labels(rows: list[VideoRow]) -> set[int | None]:
    """Returns the classes of a group; None for videos without labels."""
    return {label.class_index for row in rows for label in row.labels} or {None}


def _wanted(split: str, count: int, shares: Mapping[str, float]) -> int:
    """Returns how many groups of a class a split should get: at least one where there is one for every split."""
    if split == TRAIN:
        return count - sum(_wanted(other, count, shares) for other in shares if other != TRAIN)
    least = 1 if count >= len(shares) else 0
    return max(least, round(shares[split] * count))


def _draw(key: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {key}".encode("utf-8", "surrogatepass")).digest()


def _notes(manifest: Manifest, spec: PrepareSpec) -> tuple[str, ...]:
    counts = [f"{split} {len(manifest.rows_of(split))}" for split in manifest.splits()]
    lines = [f"videos without a split are divided: {', '.join(counts)} (seed {spec.split_seed})"]
    occurring = {label.class_index for row in manifest.rows for label in row.labels}
    for split in manifest.splits():
        here = {label.class_index for row in manifest.rows_of(split) for label in row.labels}
        if lacking := [manifest.classes[index] for index in sorted(occurring - here)]:
            names = ", ".join(lacking[:5]) + (", ..." if len(lacking) > 5 else "")
            lines.append(f"too few videos (or groups) of {names}: {split} has none")
    return tuple(lines)
