"""Speed of preparation: video-seconds per second, by the number of workers, and the share of each part."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import tensorflow as tf

from official_vision.data.annotations.manifest import Manifest, VideoRow
from official_vision.data.annotations.reading import read_manifest, with_videos_folder
from official_vision.data.objects import MotionIds, object_source
from official_vision.data.prepare.preparation import prepare_split
from official_vision.data.storage.frame_encoding import encode_frame
from official_vision.data.storage.frame_file import append_frame, read_frames
from official_vision.data.storage.index import Index
from official_vision.data.storage.shard import parse
from official_vision.data.storage.shard_writer import ShardWriter, StoredVideo
from official_vision.data.video import decode
from official_vision.data.video_streams import FrameStreams, flow_solver, grey, video_streams
from official_vision.names import existing_path
from official_vision.specs import PrepareSpec

_FRAMES_FOR_PARTS = 60
_OBJECTS = "objects"
_FLOW_METHODS = ("dis", "dis_fast", "tvl1")


def measure_preparation(spec: PrepareSpec, videos: int) -> dict[str, Any]:
    """Prepares the first videos of a data set into folders that are deleted, and times it.

    Args:
      spec: names the annotations, the videos and what is stored; workers is the greatest number tried.
      videos: how many of the first split.

    Returns:
      JSON values: "video_seconds_per_second" by number of workers (text), of the whole command's work
      with its processes' start; "parts": seconds for each second of video, in one thread, of every
      part (flow by all methods); "shares": of the parts that `spec` sets, together 1.

    Raises:
      UserError: no annotations, or no video that can be prepared.
    """
    spec = with_videos_folder(spec)
    manifest = read_manifest(spec)
    split = manifest.splits()[0]
    rows = manifest.rows_of(split)[:videos]
    manifest = Manifest(manifest.classes, tuple(rows))
    speeds = {
        str(workers): _speed(manifest, split, dataclasses.replace(spec, workers=workers))
        for workers in range(1, spec.workers + 1)
    }
    parts = part_seconds(rows[0], spec)
    return {
        "videos": len(rows),
        "short_side": spec.short_side,
        "video_seconds_per_second": speeds,
        "parts": parts,
        "shares": _shares(parts, spec),
    }


def _speed(manifest: Manifest, split: str, spec: PrepareSpec) -> float:
    with tempfile.TemporaryDirectory() as folder:
        # One shard per video, so that few videos keep all workers busy.
        spec = dataclasses.replace(spec, output=folder, videos_per_shard=1)
        start = time.perf_counter()
        index = prepare_split(manifest, split, spec, lambda: None)
        elapsed = time.perf_counter() - start
        return _stored_seconds(Path(folder) / split, index) / elapsed


def _stored_seconds(folder: Path, index: Index) -> float:
    paths = [str(folder / shard.file) for shard in index.shards]
    records = (parse(record, ("rgb",)) for record in tf.data.TFRecordDataset(paths))
    return sum(len(record["rgb"]) / float(record["fps"]) for record in records)


def part_seconds(row: VideoRow, spec: PrepareSpec) -> dict[str, float]:
    """Returns the seconds that each part takes per second of video, over the first frames of one.

    Args:
      row: the video.
      spec: sizes, objects and quality.

    Returns:
      By part: decode (to the decoder's pixel format), resize (with the change to RGB), flow_dis,
      flow_dis_fast, flow_tvl1, objects, encode_rgb, encode_flow, encode_objects, write.
    """
    path = existing_path(spec.videos, row.path)
    decoding, count = _timed(lambda: _decoded_frames(path))
    both, frames = _timed(lambda: _first(decode(path, spec.short_side)))
    length = max(f.time_sec for f in frames) or 1.0
    greys = [grey(frame.rgb) for frame in frames]
    pairs = list(itertools.pairwise(greys))
    parts = {"decode": decoding / count * len(frames), "resize": 0.0}
    parts["resize"] = max(0.0, both - parts["decode"])
    flows = {}
    for method in _FLOW_METHODS:
        name, flow = f"flow_{method}", flow_solver(method)
        parts[name], flows[name] = _timed(lambda flow=flow: [flow(*pair) for pair in pairs])
    source = object_source(spec, row.path)
    if isinstance(source, MotionIds):
        known = flows[f"flow_{source.flow_method}"]
        parts[_OBJECTS], _ = _timed(lambda: [source.of_flow(flow) for flow in known])
    elif source:
        parts[_OBJECTS], _ = _timed(lambda: [source(frame) for frame in frames])
    parts |= _storing_seconds(row, spec, path)
    return {name: seconds / length for name, seconds in parts.items()}


def _storing_seconds(row: VideoRow, spec: PrepareSpec, path: Path) -> dict[str, float]:
    streams = _first(
        video_streams(
            path,
            short_side=spec.short_side,
            fps=None,
            flow=spec.flow,
            objects=object_source(spec, row.path),
        )
    )
    alone = [FrameStreams(item.rgb, None, None, item.time_sec) for item in streams]

    def encoded(items: list[FrameStreams]) -> list[dict[str, bytes]]:
        return [encode_frame(item, spec.flow_bound, spec.jpeg_quality) for item in items]

    seconds, frames = {}, encoded(streams)
    seconds["encode_rgb"], _ = _timed(lambda: encoded(alone))
    for name in [name for name in ("flow", _OBJECTS) if name in frames[0]]:
        both = [
            dataclasses.replace(item, **{name: getattr(full, name)})
            for item, full in zip(alone, streams, strict=True)
        ]
        together, _ = _timed(lambda both=both: encoded(both))
        seconds[f"encode_{name}"] = max(0.0, together - seconds["encode_rgb"])
    seconds["write"], _ = _timed(lambda: _write(row, frames, spec))
    return seconds


def _write(row: VideoRow, frames: list[dict[str, bytes]], spec: PrepareSpec) -> None:
    with tempfile.TemporaryDirectory() as folder, ShardWriter(Path(folder) / "shard") as shard:
        path = Path(folder) / "frames"
        with open(path, "wb") as file:
            for frame in frames:
                append_frame(file, frame)
        shard.append(StoredVideo(row.id, 0, 25.0, [], spec.flow_bound, read_frames(path)))


def _decoded_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return len(
            [
                None
                for _, _ in zip(range(_FRAMES_FOR_PARTS), container.decode(video=0), strict=False)
            ]
        )


def _first(items: Iterable) -> list:
    return [item for _, item in zip(range(_FRAMES_FOR_PARTS), items, strict=False)]


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _shares(parts: dict[str, float], spec: PrepareSpec) -> dict[str, float]:
    used = {
        name: value
        for name, value in parts.items()
        if not name.startswith("flow_") or name == f"flow_{spec.flow}"
    }
    return {name: value / sum(used.values()) for name, value in used.items()}


def preparation_text(result: dict[str, Any]) -> str:
    """Returns the figures of `measure_preparation` as lines."""
    lines = [
        f"preparation of {result['videos']} videos, short side {result['short_side']}: video-seconds per second"
    ]
    lines += [
        f"  {workers} workers{speed:10.2f}"
        for workers, speed in result["video_seconds_per_second"].items()
    ]
    lines.append("seconds for a second of video, in one thread, and the part's share")
    for name, seconds in result["parts"].items():
        share = result["shares"].get(name)
        lines.append(f"  {name:<15}{seconds:9.4f}" + (f"{share:8.1%}" if share is not None else ""))
    return "\n".join(lines)
