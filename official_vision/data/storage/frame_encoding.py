"""Encodes frames of every stream for shards. No TensorFlow: decoding workers start quickly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from official_vision.data.annotations.manifest import VideoRow
from official_vision.data.objects import object_source
from official_vision.data.optical_flow import quantise
from official_vision.data.storage.frame_file import append_frame
from official_vision.data.storage.object_ids import ObjectIds
from official_vision.data.video import DecodingReport, VideoError, probe
from official_vision.data.video_streams import FrameStreams, video_streams
from official_vision.names import existing_path
from official_vision.specs import PrepareSpec


class EncodedVideo(NamedTuple):
    """The stored form of a video.

    Attributes:
      fps: frames per second, on average.
      times_sec: [frames + 1], when each frame begins and the last one ends, in seconds from the start of
        the row's span.
      frames: the file of its encoded frames, which data/storage/frame_file.py reads.
      file_end_sec: when the file's last frame ends; None where the span ends before.
      notes: a line for each thing about the file that its user should know, by its kind (finding.KINDS).
      object_ids: one more than the greatest object id; 0 without objects.
    """

    fps: float
    times_sec: tuple[float, ...]
    frames: Path
    file_end_sec: float | None
    notes: dict[str, str]
    object_ids: int = 0


def encode_video(
    row: VideoRow, spec: PrepareSpec, folder: Path, on_frame: Callable[[], None] = lambda: None
) -> EncodedVideo:
    """Decodes a video and writes its frames, encoded, into a file of a folder; holds two of them at a time.

    Args:
      row: the video, its path relative to `spec.videos`.
      spec: size, rate, flow, objects and quality.
      folder: an empty one.
      on_frame: called after each frame.

    Raises:
      VideoError: the video can't be decoded whole, or has no frame in the row's span.
      OSError: the folder can't take more.
    """
    path, report, times, last = existing_path(spec.videos, row.path), DecodingReport(), [], 0.0
    ids, frames = ObjectIds(), folder / "frames"
    last_ids, encoded = None, {}
    with open(frames, "wb") as file:
        for streams in video_streams(
            path,
            short_side=spec.short_side,
            fps=spec.fps,
            flow=spec.flow,
            objects=object_source(spec, row.path),
            start_sec=row.start_sec,
            end_sec=row.end_sec,
            broken_share=spec.broken_packet_share,
            report=report,
        ):
            is_repeated = streams.objects is not None and streams.objects is last_ids
            if not is_repeated:
                ids.see(streams.objects)
            times.append(streams.time_sec - (row.start_sec or 0.0))
            last = streams.duration_sec
            known = encoded["objects"] if is_repeated else None
            encoded = encode_frame(streams, spec.flow_bound, spec.jpeg_quality, known)
            append_frame(file, encoded)
            last_ids = streams.objects
            on_frame()
    if not times:
        raise VideoError(
            f"{path}: no frame lies between {row.start_sec} and {row.end_sec} seconds."
        )
    fps = spec.fps or probe(path).fps
    times.append(times[-1] + (last or 1 / fps))
    end = report.end_sec if report.ended else None
    return EncodedVideo(fps, tuple(times), frames, end, report.messages(), ids.count)


def encode_frame(
    streams: FrameStreams, flow_bound: float, jpeg_quality: int, objects: bytes | None = None
) -> dict[str, bytes]:
    """Encodes one frame of every stream that is present, as data/storage/shard.py describes.

    Args:
      streams: the frame.
      flow_bound: greatest displacement that is stored.
      jpeg_quality: of rgb.
      objects: the encoded ids, where they are those of the frame before; None encodes them.
    """
    quality = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
    encoded = {"rgb": _image(".jpg", cv2.cvtColor(streams.rgb, cv2.COLOR_RGB2BGR), quality)}
    if streams.flow is not None:
        codes = quantise(streams.flow, flow_bound)
        encoded["flow"] = _image(".png", np.concatenate([codes[..., 0], codes[..., 1]]), [])
    if streams.objects is not None:
        encoded["objects"] = objects or _image(".png", streams.objects, [])
    return encoded


def _image(suffix: str, pixels: np.ndarray, settings: list[int]) -> bytes:
    succeeded, encoded = cv2.imencode(suffix, pixels, settings)
    if not succeeded:
        raise RuntimeError(f"OpenCV could not encode a {suffix} image of shape {pixels.shape}.")
    return encoded.tobytes()
