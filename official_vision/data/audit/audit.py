"""Finds errors and imbalance in a data set: its annotations, its files and, once prepared, its shards."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from official_vision import files
from official_vision.data.annotations.manifest import Manifest, VideoRow
from official_vision.data.audit.file_survey import Survey
from official_vision.data.audit.finding import KINDS, Finding, Progress
from official_vision.data.audit.late_labels import past_the_end
from official_vision.data.prepare.decoding_worker import DecodingFailedError, DecodingWorker
from official_vision.data.storage.index import INDEX_FILE
from official_vision.names import existing_path
from official_vision.specs import PrepareSpec


@dataclasses.dataclass(frozen=True)
class Spread:
    """The spread of values: the least, the median and the greatest."""

    least: float
    median: float
    greatest: float


@dataclasses.dataclass(frozen=True)
class SplitAudit:
    """One split in figures.

    Attributes:
      name: of the split.
      videos, unlabelled: how many, and how many of them have no label.
      class_counts: videos that show each class, in the order of the classes.
      spreads: of the used seconds, the short side in pixels and the frames per second of its readable videos.
    """

    name: str
    videos: int
    unlabelled: int
    class_counts: tuple[int, ...]
    spreads: dict[str, Spread]


@dataclasses.dataclass(frozen=True)
class Audit:
    """A whole data set: the names of the classes, the splits in figures, and the findings by kind."""

    classes: tuple[str, ...]
    splits: tuple[SplitAudit, ...]
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain JSON values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class _Video:
    """A surveyed file, or why it could not be read; and the messages about it."""

    path: str
    seen: Survey | None
    findings: tuple[Finding, ...] = ()


def in_silence(items: Iterable, *_: Any) -> Iterable:
    """Returns a Progress that shows nothing."""
    return items


def audit(
    manifest: Manifest, spec: PrepareSpec, *, decode: bool = False, progress: Progress = in_silence
) -> Audit:
    """Audits annotations, files and shards; changes nothing.

    Args:
      manifest: all videos, as `annotations.read_manifest` returns them.
      spec: where videos and shards are; how many workers look, and for how long at each video.
      decode: decode every frame and compare their number with the header's; otherwise packets are read,
        and a key frame a second is decoded. Processes that may crash do both.
      progress: shows how far it is.

    Returns:
      The figures of every split, and the findings in the order of KINDS.
    """
    paths = sorted({row.path for row in manifest.rows})
    with _looking(spec, decode) as look:
        surveys = progress(look(paths), len(paths), "videos")
        videos = {video.path: video for video in surveys}
    findings = [finding for video in videos.values() for finding in video.findings]
    findings += _late(manifest, videos)
    findings += _unlabelled(manifest) + _classes_without_videos(manifest)
    findings += _leakage(manifest, Path(spec.videos), videos)
    missing = {finding.about for finding in findings if finding.kind == "missing"}
    findings += _shard_findings(manifest, spec, missing, progress)
    findings += [Finding("mended", *_place_and_note(note)) for note in manifest.notes]
    order = list(KINDS)
    return Audit(
        manifest.classes,
        tuple(_split_audit(manifest, split, videos) for split in manifest.splits()),
        tuple(sorted(findings, key=lambda finding: order.index(finding.kind))),
    )


def _shard_findings(
    manifest: Manifest, spec: PrepareSpec, missing: Collection[str], progress: Progress
) -> list[Finding]:
    """Audits splits that are prepared; only then TensorFlow is started."""
    if not any((Path(spec.output) / split / INDEX_FILE).is_file() for split in manifest.splits()):
        return []
    from official_vision.data.audit.shard_audit import shard_findings

    return shard_findings(manifest, spec, missing, progress)


@contextlib.contextmanager
def _looking(
    spec: PrepareSpec, decode: bool
) -> Iterator[Callable[[Sequence[str]], Iterator[_Video]]]:
    """Yields a function that surveys files, several at a time, and returns them in their order."""
    idle: queue.SimpleQueue = queue.SimpleQueue()
    workers = [DecodingWorker() for _ in range(spec.workers)]
    for worker in workers:
        idle.put(worker)

    def look(path: str) -> _Video:
        worker = idle.get()
        try:
            return _look(path, spec, worker, decode)
        finally:
            idle.put(worker)

    executor = ThreadPoolExecutor(spec.workers)
    try:
        yield lambda paths: executor.map(look, paths)
    finally:
        for worker in workers:
            worker.close()
        executor.shutdown(cancel_futures=True)


def _look(path: str, spec: PrepareSpec, worker: DecodingWorker, decode: bool) -> _Video:
    file = existing_path(spec.videos, path)
    if not os.path.isfile(file):
        return _Video(path, None, (Finding("missing", path, f"there is no {file}"),))
    try:
        seen = worker.survey(VideoRow(path, path, "", ()), spec, decode)
    except DecodingFailedError as error:
        return _Video(path, None, (Finding("undecodable", path, str(error)),))
    return _Video(path, seen, tuple(_findings_of(path, seen)))


def _findings_of(path: str, seen: Survey) -> Iterator[Finding]:
    messages = seen.report.messages()
    for kind in KINDS:
        if kind in messages:
            yield Finding(kind, path, messages[kind])
    if seen.streams > 1:
        yield Finding("several_streams", path, f"{seen.streams} of them")
    if seen.rate_error_sec:
        detail = (
            f"frames lie up to {seen.rate_error_sec:.2f} s from where {seen.info.fps:.4g} a second would "
            "put them; their stored times decide which labels a clip carries"
        )
        yield Finding("variable_rate", path, detail)
    if seen.named not in (None, seen.frames):
        detail = f"its header names {seen.named} frames, {seen.frames} can be decoded"
        yield Finding("frame_count", path, detail)


def _late(manifest: Manifest, videos: dict[str, _Video]) -> list[Finding]:
    """Returns findings on labels and parts that end after their video."""
    return [
        Finding("labels_past_end", row.id, line)
        for row in manifest.rows
        if (seen := videos[row.path].seen) is not None
        for line in past_the_end(row, manifest.classes, seen.end_sec)
    ]


def _unlabelled(manifest: Manifest) -> list[Finding]:
    return [
        Finding("unlabelled", row.id, f"in {row.split}") for row in manifest.rows if not row.labels
    ]


def _class_counts(rows: Sequence[VideoRow], num_classes: int) -> tuple[int, ...]:
    counts = Counter(index for row in rows for index in {label.class_index for label in row.labels})
    return tuple(counts[index] for index in range(num_classes))


def _classes_without_videos(manifest: Manifest) -> list[Finding]:
    findings = []
    for split in manifest.splits():
        rows = manifest.rows_of(split)
        if any(row.labels for row in rows):  # a test split may have no labels at all
            counts = _class_counts(rows, len(manifest.classes))
            empty = [name for name, n in zip(manifest.classes, counts, strict=True) if not n]
            findings += [
                Finding("class_without_videos", name, f"none in {split}") for name in empty
            ]
    return findings


def _leakage(manifest: Manifest, root: Path, videos: dict[str, _Video]) -> list[Finding]:
    """Returns findings on one file, content or group in several splits."""
    by_path, by_group = defaultdict(set), defaultdict(set)
    for row in manifest.rows:
        by_path[row.path].add(row.split)
        if row.group:
            by_group[row.group].add(row.split)
    findings = [
        Finding("leakage", name, f"{what} is in {' and '.join(sorted(splits))}")
        for what, groups in (("the file", by_path), ("the group", by_group))
        for name, splits in groups.items()
        if len(splits) > 1
    ]
    for same in _same_content(root, list(videos)):
        splits = set().union(*(by_path[path] for path in same))
        if len(splits) > 1:
            detail = f"has the content of {', '.join(same[1:])}, in {' and '.join(sorted(splits))}"
            findings.append(Finding("leakage", same[0], detail))
    return findings


def _same_content(root: Path, paths: Sequence[str]) -> list[list[str]]:
    """Returns groups of paths whose files are equal; only files of one size are read.

    What is missing or can't be read is equal to nothing: there is a finding for it already.
    """
    by_size, by_hash = defaultdict(list), defaultdict(list)
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            by_size[existing_path(root, path).stat().st_size].append(path)
    for alike in by_size.values():
        for path in alike if len(alike) > 1 else ():
            with contextlib.suppress(OSError, ValueError):
                by_hash[files.sha256(existing_path(root, path))].append(path)
    return [alike for alike in by_hash.values() if len(alike) > 1]


def _split_audit(manifest: Manifest, split: str, videos: dict[str, _Video]) -> SplitAudit:
    rows = manifest.rows_of(split)
    values = defaultdict(list)
    for row in rows:
        seen = videos[row.path].seen
        if seen is None:
            continue
        end = min(seen.end_sec, seen.end_sec if row.end_sec is None else row.end_sec)
        values["seconds"].append(max(0.0, end - (row.start_sec or 0.0)))
        values["short side"].append(min(seen.info.width, seen.info.height))
        values["frames per second"].append(seen.info.fps)
    return SplitAudit(
        split,
        len(rows),
        sum(not row.labels for row in rows),
        _class_counts(rows, len(manifest.classes)),
        {name: Spread(min(v), statistics.median(v), max(v)) for name, v in values.items()},
    )


def _place_and_note(note: str) -> tuple[str, str]:
    """Splits a reader's note into (file:line, text), or ("annotations", text)."""
    place, colon, text = note.partition(": ")
    return (place, text) if colon else ("annotations", note)
