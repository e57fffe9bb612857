"""Videos -> shards and an index, resumable, with every video in a process that may die.

The unit of work is one shard: a pure function of its videos and the settings. Finished shards are
kept by later runs; so a killed run redoes at most the shards that were in flight.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorflow as tf

from official_vision import files
from official_vision.data.annotations import READERS
from official_vision.data.decoding_worker import DecodingFailed, DecodingWorker
from official_vision.data.index import Index, LeftOut, ShardEntry
from official_vision.data.manifest import Manifest, VideoRow
from official_vision.data.objects import OPENCV_CLASS_NAMES
from official_vision.data.shard import WHOLE_VIDEO, StoredVideo, encode
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec

PLAN_FILE = "plan.json"
# Settings that change nothing in the shards.
_WITHOUT_EFFECT = ("output", "workers", "video_timeout_sec", "left_out_is_fatal")
_LIBRARIES = ("av", "opencv-python-headless")


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """One shard to write: everything that its content depends on."""

    path: str
    rows: tuple[tuple[int, VideoRow], ...]
    classes: tuple[str, ...]
    spec: PrepareSpec


@dataclasses.dataclass(frozen=True)
class ShardReport:
    """What became of a shard: its entry, the ids it holds and the videos it lacks."""

    entry: ShardEntry
    videos: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def read_manifest(spec: PrepareSpec) -> Manifest:
    """Reads the annotations that `spec` names."""
    if not spec.annotations or not spec.output:
        raise UserError(
            "PrepareSpec.annotations and PrepareSpec.output must be set. "
            f"Received: {spec.annotations!r} and {spec.output!r}. Name the annotation file and the output folder."
        )
    return READERS[spec.annotation_format](spec.annotations)


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
      on_video: called after each video, also for those of shards found finished.

    Returns:
      The index, which is written unless `spec.left_out_is_fatal` and a video was left out.

    Raises:
      UserError: the output holds shards of other settings, or nothing could be prepared.
    """
    folder = Path(spec.output) / split
    folder.mkdir(parents=True, exist_ok=True)
    tasks = plan_shards(manifest, split, spec)
    _check_same_plan(folder, manifest, split, spec)
    reports = _run(tasks, spec.workers, on_video)
    index = _index(manifest, split, spec, reports)
    if not index.num_videos:
        raise UserError(
            f"Split {split!r}: no video could be prepared of {len(index.left_out)}. Received, as the first: "
            f"{index.left_out[0].reason} Check PrepareSpec.videos = {spec.videos!r}."
        )
    if not (spec.left_out_is_fatal and index.left_out):
        index.write(folder)
    return index


def _run(
    tasks: Sequence[ShardTask], workers: int, on_video: Callable[[], None]
) -> list[ShardReport]:
    """Writes shards in `workers` threads, each with a decoding process of its own."""
    pool = [DecodingWorker() for _ in range(workers)]
    idle: queue.SimpleQueue = queue.SimpleQueue()
    for worker in pool:
        idle.put(worker)

    def run(task: ShardTask) -> ShardReport:
        finished = finished_report(task)
        if finished:
            for _ in task.rows:
                on_video()
            return finished
        worker = idle.get()
        try:
            return write_shard(task, worker, on_video)
        finally:
            idle.put(worker)

    executor = ThreadPoolExecutor(workers)
    try:
        return list(executor.map(run, tasks))
    finally:
        # On Ctrl-C the decoders are ended first, so that the threads see it and clean up after them.
        for worker in pool:
            worker.close()
        executor.shutdown(cancel_futures=True)


def write_shard(
    task: ShardTask, worker: DecodingWorker, on_video: Callable[[], None]
) -> ShardReport:
    """Decodes and writes one shard, then its report: where that lies, the shard is whole."""
    held: list[str] = []
    left_out: list[LeftOut] = []
    with files.written_aside(task.path) as partial:
        with tf.io.TFRecordWriter(str(partial)) as writer:
            for number, row in task.rows:
                try:
                    fps, frames = worker.encode(row, task.spec)
                    writer.write(encode(_stored(number, row, task, fps, frames)))
                    held.append(row.id)
                except DecodingFailed as error:
                    left_out.append(LeftOut(row.id, row.path, str(error)))
                on_video()
        size = partial.stat().st_size
        entry = ShardEntry(Path(task.path).name, len(held), size, files.sha256(partial))
    report = ShardReport(entry, tuple(held), tuple(left_out))
    files.write_json(_report_path(task), dataclasses.asdict(report))
    return report


def finished_report(task: ShardTask) -> ShardReport | None:
    """Returns the report of a shard that an earlier run finished, else None.

    A shard that lacks a video is not finished: the video may have been mended since.
    """
    path = _report_path(task)
    if not (path.is_file() and Path(task.path).is_file()):
        return None
    values = files.read_json(path)
    entry = ShardEntry(**values["entry"])
    if values["left_out"] or Path(task.path).stat().st_size != entry.bytes:
        return None
    return ShardReport(entry, tuple(values["videos"]), ())


def _report_path(task: ShardTask) -> Path:
    return Path(task.path).with_suffix(".json")


def _stored(
    number: int, row: VideoRow, task: ShardTask, fps: float, frames: dict[str, list[bytes]]
) -> StoredVideo:
    offset = row.start_sec or 0.0  # labels count from the start of the stored span

    def moved(time: float | None) -> float:
        return WHOLE_VIDEO if time is None else max(0.0, time - offset)

    labels = [
        (
            label.class_index,
            task.classes[label.class_index],
            moved(label.start_sec),
            moved(label.end_sec),
        )
        for label in row.labels
    ]
    return StoredVideo(row.id, number, fps, labels, task.spec.flow_bound, frames)


def _check_same_plan(folder: Path, manifest: Manifest, split: str, spec: PrepareSpec) -> None:
    """Keeps what the folder's shards were made of; refuses to mix in shards of something else."""
    settings = {k: v for k, v in spec.to_dict().items() if k not in _WITHOUT_EFFECT}
    rows = [dataclasses.asdict(row) for row in manifest.rows_of(split)]
    content = json.dumps([rows, manifest.classes], sort_keys=True)
    plan = {"settings": settings, "videos": hashlib.sha256(content.encode()).hexdigest()}
    path = folder / PLAN_FILE
    if not path.is_file():
        files.write_json(path, plan)
        return
    earlier = files.read_json(path)
    changed = [k for k, v in settings.items() if earlier["settings"].get(k) != v]
    changed += ["the list of videos and labels"] if earlier["videos"] != plan["videos"] else []
    if changed:
        raise UserError(
            f"An output folder holds shards of one kind. Received: {folder}, whose shards differ in "
            f"{', '.join(changed)}. Choose another PrepareSpec.output or delete the folder."
        )


def _index(
    manifest: Manifest, split: str, spec: PrepareSpec, reports: Sequence[ShardReport]
) -> Index:
    streams = ("rgb",)
    streams += ("flow",) if spec.flow != "none" else ()
    streams += ("objects",) if spec.objects != "none" else ()
    return Index(
        split=split,
        classes=manifest.classes,
        streams=streams,
        shards=tuple(report.entry for report in reports if report.entry.count),
        videos=tuple(video for report in reports for video in report.videos),
        flow_method=spec.flow,
        flow_bound=spec.flow_bound,
        object_classes=OPENCV_CLASS_NAMES if spec.objects == "opencv" else (),
        settings={k: v for k, v in spec.to_dict().items() if k not in _WITHOUT_EFFECT},
        versions={library: importlib.metadata.version(library) for library in _LIBRARIES},
        left_out=tuple(item for report in reports for item in report.left_out),
    )
