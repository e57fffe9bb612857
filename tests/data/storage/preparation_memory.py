"""Prints a shard's size and the greatest memory of its preparation, per video: FOLDER VIDEO..."""

from __future__ import annotations

import sys
from pathlib import Path

from official_vision.data.annotations.manifest import VideoRow
from official_vision.data.prepare.decoding_worker import DecodingWorker
from official_vision.data.prepare.shard_task import ShardTask, write_shard
from official_vision.specs import PrepareSpec


def peak(process):
    """Greatest memory of a process in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def prepare(folder, name):
    spec = PrepareSpec(
        videos=str(folder), short_side=128, flow="none", objects="none", jpeg_quality=100
    )
    task = ShardTask(str(folder / "out"), ((0, VideoRow(name, name, "train", ())),), (), spec)
    worker = DecodingWorker()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    peaks = []
    size = write_shard(
        task, worker, lambda: peaks.append(peak(worker.child.process.pid))
    ).entry.bytes
    worker.close()
    print(size, peak("self"), *peaks)


if __name__ == "__main__":
    for video in sys.argv[2:]:
        prepare(Path(sys.argv[1]), video)
