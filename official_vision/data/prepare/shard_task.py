"""One shard, the unit of preparation: its content is a pure function of its videos and the settings.

So shards can be written by any process on any machine that sees the same folders, in any order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from official_vision import files, formats
from official_vision.data.annotations.manifest import VideoRow
from official_vision.data.audit.late_labels import past_the_end
from official_vision.data.prepare.decoding_worker import DecodingFailedError, DecodingWorker
from official_vision.data.prepare.label_times import stored_labels
from official_vision.data.storage.frame_encoding import EncodedVideo
from official_vision.data.storage.frame_file import read_frames
from official_vision.data.storage.index import LeftOut, ShardEntry, VideoNote
from official_vision.data.storage.shard_writer import ShardWriter, StoredVideo
from official_vision.errors import UserError
from official_vision.names import shown
from official_vision.specs import PrepareSpec


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """One shard to write, with all that its content depends on."""

    path: str
    rows: tuple[tuple[int, VideoRow], ...]
    classes: tuple[str, ...]
    spec: PrepareSpec


@dataclasses.dataclass(frozen=True)
class ShardReport:
    """The result of writing a shard.

    Attributes:
      entry: of the index.
      videos: ids of those in it.
      left_out: the videos it lacks.
      object_ids: one more than the greatest object id in it; 0 without objects.
      durations_sec: of the stored parts of `videos`.
      notes: on its videos.
    """

    entry: ShardEntry
    videos: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    object_ids: int
    durations_sec: tuple[float, ...]
    notes: tuple[VideoNote, ...] = ()


def write_shard(
    task: ShardTask, worker: DecodingWorker, on_video: Callable[[], None]
) -> ShardReport:
    """Decodes and writes one shard, then its report: if that exists, the shard is whole.

    Raises:
      UserError: the disk is full.
    """
    try:
        return _write_shard(task, worker, on_video)
    except Exception as error:  # of the system, or of TensorFlow, which writes the shard
        reason = files.full_disk_reason(error)
        if not reason:
            raise
        raise UserError(
            "The disk of PrepareSpec.output must hold the shards, and each process's video a second time. "
            f"Received: {task.path} ({reason}). Make room, and run the same command to go on."
        ) from error


def _write_shard(
    task: ShardTask, worker: DecodingWorker, on_video: Callable[[], None]
) -> ShardReport:
    stored_ids: list[str] = []
    left_out: list[LeftOut] = []
    object_ids = 0
    durations: list[float] = []
    notes: list[VideoNote] = []
    with files.written_aside(task.path) as partial:
        with ShardWriter(partial) as shard:
            for number, row in task.rows:
                try:
                    with files.scratch_folder(partial.parent) as folder:
                        video = worker.encode(row, task.spec, folder)
                        shard.append(_stored(number, row, task, video))
                    object_ids = max(object_ids, video.object_ids)
                    stored_ids.append(row.id)
                    durations.append(video.times_sec[-1])
                    notes += _notes(row, task, video)
                except DecodingFailedError as error:
                    left_out.append(LeftOut(row.id, shown(row.path), shown(str(error))))
                on_video()
        entry = shard.entry(Path(task.path).name)
    report = ShardReport(
        entry, tuple(stored_ids), tuple(left_out), object_ids, tuple(durations), tuple(notes)
    )
    formats.SHARD_REPORT.write(_report_path(task), dataclasses.asdict(report))
    return report


def read_report(task: ShardTask) -> ShardReport | None:
    """Returns the report of a shard that has been written, else None."""
    path = _report_path(task)
    if not path.is_file():
        return None
    try:
        values = formats.SHARD_REPORT.read(path)
        report = ShardReport(
            entry=ShardEntry(**values["entry"]),
            videos=tuple(values["videos"]),
            left_out=tuple(LeftOut(**item) for item in values["left_out"]),
            object_ids=int(values["object_ids"]),
            durations_sec=tuple(map(float, values["durations_sec"])),
            notes=tuple(VideoNote(**item) for item in values["notes"]),
        )
        is_whole = report.entry.size_in(path.parent) == report.entry.bytes
    # Damaged, or of another version: the shard is written anew.
    except (AttributeError, KeyError, TypeError, ValueError, UserError):
        return None
    return report if is_whole else None


def finished_report(task: ShardTask) -> ShardReport | None:
    """Reads the report as `read_report`, but None also for a shard that lacks a video: it may be repaired by now."""
    report = read_report(task)
    return None if report and report.left_out else report


def _report_path(task: ShardTask) -> Path:
    return Path(task.path).with_suffix(".json")


def _notes(row: VideoRow, task: ShardTask, video: EncodedVideo) -> list[VideoNote]:
    late = []
    if video.file_end_sec is not None:
        late = past_the_end(row, task.classes, video.file_end_sec)
    notes = [*video.notes.items(), *(("labels_past_end", line) for line in late)]
    return [VideoNote(row.id, shown(row.path), kind, shown(note)) for kind, note in notes]


def _stored(number: int, row: VideoRow, task: ShardTask, video: EncodedVideo) -> StoredVideo:
    stored = stored_labels(row, video.times_sec[-1])
    labels = [(index, task.classes[index], *times) for index, *times in stored]
    frames = read_frames(video.frames)
    return StoredVideo(
        row.id, number, video.fps, labels, task.spec.flow_bound, frames, video.times_sec
    )
