"""An audit as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from official_vision.data.audit.audit import Audit
from official_vision.data.audit.finding import KINDS

_NAMES_PRINTED = 20
_UNITS = {"seconds": "s", "short side": "pixels", "frames per second": "a second"}


def report(audit: Audit) -> str:
    """Returns the splits in figures, the videos of every class, and the findings by kind."""
    return "\n".join([*_splits(audit), "", *_histogram(audit), "", *_findings(audit)])


def _splits(audit: Audit) -> Iterator[str]:
    for split in audit.splits:
        yield f"{split.name}: {split.videos} videos, {split.unlabelled} of them without a label"
        for name, spread in split.spreads.items():
            yield (
                f"  {name:<16} median {spread.median:.4g}, {spread.least:.4g} to "
                f"{spread.greatest:.4g} {_UNITS[name]}"
            )


def _histogram(audit: Audit) -> Iterator[str]:
    """Yields one row per class, with the number of videos of each split that show it."""
    width = max(len(name) for name in ("class", *audit.classes))
    yield f"{'class':<{width}} " + " ".join(f"{split.name:>10}" for split in audit.splits)
    for index, name in enumerate(audit.classes):
        counts = " ".join(f"{split.class_counts[index]:>10}" for split in audit.splits)
        yield f"{name:<{width}} {counts}"


def _findings(audit: Audit) -> Iterator[str]:
    if not audit.findings:
        yield "no problem was detected"
    for kind, meaning in KINDS.items():
        findings = [finding for finding in audit.findings if finding.kind == kind]
        if not findings:
            continue
        yield f"{meaning}: {len(findings)}"
        for finding in findings[:_NAMES_PRINTED]:
            yield f"  {finding.about}: {finding.detail}"
        if len(findings) > _NAMES_PRINTED:
            yield f"  and {len(findings) - _NAMES_PRINTED} more, which --json names"
