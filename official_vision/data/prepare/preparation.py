"""Preparation of videos as shards and an index, resumable, with every video in an isolated process.

The unit of work is one shard (data/prepare/shard_task.py). Later runs keep finished shards; so a
killed run redoes at most the shards that were in flight.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import files, formats
from official_vision.data.annotations.manifest import Manifest, VideoRow
from official_vision.data.objects import object_classes, uses_network
from official_vision.data.prepare.beam import write_shards
from official_vision.data.prepare.decoding_worker import DecodingWorker
from official_vision.data.prepare.label_times import stored_labels
from official_vision.data.prepare.shard_task import ShardReport, ShardTask
from official_vision.data.storage.index import INDEX_FILE, Index, StatedTimes
from official_vision.data.storage.label_summary import label_summary
from official_vision.data.storage.shard_writer import SEGMENT_FRAMES
from official_vision.errors import UserError
from official_vision.lock import folder_locked
from official_vision.specs import PrepareSpec

PLAN_FILE = "plan.json"
# Settings that change nothing in the shards.
_WITHOUT_EFFECT = (
    "output",
    "runner",
    "runner_options",
    "workers",
    "video_timeout_sec",
    "left_out_is_fatal",
    # What these choose is in the list of videos.
    "validation_share",
    "test_share",
    "split_seed",
)
_MAY_CHANGE = (
    # What it changes is in videos that were left out before, whose shards are written again in any case.
    "broken_packet_share",
    # Who runs out of memory lowers it: ids are the network's, however many frames go through together.
    "object_batch",
)
_LIBRARIES = ("av", "opencv-python-headless")


def plan_shards(manifest: Manifest, split: str, spec: PrepareSpec) -> tuple[ShardTask, ...]:
    """Divides a split's videos into shards, in order."""
    rows = tuple(enumerate(manifest.rows_of(split)))
    step = spec.videos_per_shard
    parts = [rows[start : start + step] for start in range(0, len(rows), step)]
    folder = Path(spec.output) / split
    return tuple(
        ShardTask(
            str(folder / f"shard-{number:05d}-of-{len(parts):05d}.tfrecord"),
            part,
            manifest.classes,
            spec,
        )
        for number, part in enumerate(parts)
    )


def prepare_split(
    manifest: Manifest, split: str, spec: PrepareSpec, on_video: Callable[[], None]
) -> Index:
    """Writes the missing shards of a split, and its index at the end.

    Args:
      manifest: all videos.
      split: the one to prepare.
      spec: the settings.
      on_video: called after each video, also for those of shards that were finished before.

    Returns:
      The index, which is written unless `spec.left_out_is_fatal` and a video was left out.

    Raises:
      UserError: the output has shards of other settings, can't be written or is being written by another
        process; or nothing could be prepared.
    """
    folder = Path(spec.output) / split
    with folder_locked(folder, "PrepareSpec.output", "preparing"):
        return _prepared(folder, manifest, split, spec, on_video)


def _prepared(
    folder: Path, manifest: Manifest, split: str, spec: PrepareSpec, on_video: Callable[[], None]
) -> Index:
    tasks = plan_shards(manifest, split, spec)
    settings = _settings(spec)
    _check_same_plan(folder, manifest, split, settings)
    files.remove_leftovers(folder)
    reports = write_shards(tasks, spec, on_video)
    index = _index(manifest, split, spec, settings, reports)
    if not index.num_videos:
        raise UserError(
            f"Split {split!r}: no video could be prepared of {len(index.left_out)}. Received, as the first: "
            f"{index.left_out[0].reason} Check PrepareSpec.videos = {spec.videos!r}."
        )
    if spec.left_out_is_fatal and index.left_out:
        (folder / INDEX_FILE).unlink(missing_ok=True)  # an earlier run may have been more lenient
    else:
        index.write(folder)
    return index


def _settings(spec: PrepareSpec) -> dict[str, Any]:
    """Returns what shards depend on: settings, and the hash of the network of their object ids."""
    settings = {k: v for k, v in spec.to_dict().items() if k not in _WITHOUT_EFFECT}
    return {**settings, "object_network_sha256": _network_sha256(spec)}


def _network_sha256(spec: PrepareSpec) -> str | None:
    """Tries the network of the object ids in a separate process, before any video; None where there is none."""
    if not uses_network(spec):
        return None
    worker = DecodingWorker()
    try:
        return worker.network_sha256(spec)
    finally:
        worker.close()


def _libraries(spec: PrepareSpec) -> tuple[str, ...]:
    """Returns the packages that decode and detect; onnxruntime has several, of which one is installed."""
    if not spec.objects.startswith("onnx:"):
        return _LIBRARIES
    providers = importlib.metadata.packages_distributions().get("onnxruntime", [])
    return (*_LIBRARIES, *sorted(set(providers)))


def _check_same_plan(
    folder: Path, manifest: Manifest, split: str, settings: Mapping[str, Any]
) -> None:
    """Records the settings of the folder's shards; refuses to mix in shards of others."""
    rows = [_record_of(row) for row in manifest.rows_of(split)]
    content = json.dumps([rows, manifest.classes], sort_keys=True)
    plan = {"settings": settings, "videos": hashlib.sha256(content.encode()).hexdigest()}
    path = folder / PLAN_FILE
    if not path.is_file():
        formats.PREPARATION.write(path, plan)
        return
    recorded = formats.PREPARATION.read(path, {"settings": dict, "videos": str})
    # A setting that was added since had its default's effect.
    earlier, usual = recorded["settings"], PrepareSpec().to_dict()
    changed = [
        k for k, v in settings.items() if k not in _MAY_CHANGE and earlier.get(k, usual.get(k)) != v
    ]
    changed += ["the list of videos and labels"] if recorded["videos"] != plan["videos"] else []
    if changed:
        raise UserError(
            f"An output folder has shards of one kind. Received: {folder}, whose shards differ in "
            f"{', '.join(changed)}. Choose another PrepareSpec.output or delete the folder."
        )


def _record_of(row: VideoRow) -> dict[str, Any]:
    """Returns the fields of a row that its record depends on."""
    values = dataclasses.asdict(row)
    del values["group"]
    return values


def _index(
    manifest: Manifest,
    split: str,
    spec: PrepareSpec,
    settings: Mapping[str, Any],
    reports: Sequence[ShardReport],
) -> Index:
    streams = ("rgb",)
    streams += ("flow",) if spec.flow != "none" else ()
    streams += ("objects",) if spec.objects != "none" else ()
    durations = {
        video: duration
        for report in reports
        for video, duration in zip(report.videos, report.durations_sec, strict=True)
    }
    rows = {row.id: row for row in manifest.rows_of(split)}
    labels = [(video, stored_labels(rows[video], durations[video])) for video in durations]
    return Index(
        split=split,
        classes=manifest.classes,
        streams=streams,
        shards=tuple(report.entry for report in reports if report.entry.count),
        segment_frames=SEGMENT_FRAMES,
        videos=tuple(durations),
        **label_summary(labels, len(manifest.classes)),
        flow_method=spec.flow,
        flow_bound=spec.flow_bound,
        object_classes=object_classes(spec),
        settings=settings,
        versions={library: importlib.metadata.version(library) for library in _libraries(spec)},
        left_out=tuple(item for report in reports for item in report.left_out),
        stored_object_ids=max((report.object_ids for report in reports), default=0),
        notes=tuple(item for report in reports for item in report.notes),
        stated_times=tuple(
            StatedTimes(row.id, row.length_sec, row.actions)
            for row in manifest.rows_of(split)
            if row.length_sec is not None
        ),
    )
