"""Frames of every stream -> the bytes that shards hold. No TensorFlow: decoding workers start quickly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from official_vision.data.flow import quantise
from official_vision.data.frame_lists import FrameLists
from official_vision.data.manifest import VideoRow
from official_vision.data.object_ids import ObjectIds
from official_vision.data.objects import object_source
from official_vision.data.streams import FrameStreams, video_streams
from official_vision.data.video import VideoError, decode, probe
from official_vision.specs import PrepareSpec

# A record is one protocol buffer, which can't exceed 2 GiB; some room is left for labels and lengths.
LARGEST_RECORD_BYTES = 2**31 - 2**24
_LEAST_SIDE = 16  # pixels; the cheapest that a frame to be counted alone can have


def encode_video(
    row: VideoRow, spec: PrepareSpec, folder: Path, on_frame: Callable[[], None] = lambda: None
) -> tuple[float, dict[str, Path]]:
    """Decodes a video and writes its streams, encoded, into a folder; holds two frames at a time.

    Args:
      row: the video, its path relative to `spec.videos`.
      spec: size, rate, flow, objects and quality.
      folder: an empty one.
      on_frame: called after each frame.

    Returns:
      Frames a second, and for each stream the file of its frames, as data/frame_lists.py tells.

    Raises:
      VideoError: the video can't be decoded whole, has no frame in the row's span, or more of them
        than a record can hold.
      OSError: the folder can't take more.
    """
    path = Path(spec.videos) / row.path
    ids = ObjectIds()
    with FrameLists(folder) as lists:
        for streams in video_streams(
            path,
            short_side=spec.short_side,
            fps=spec.fps,
            flow=spec.flow,
            objects=object_source(spec, row.path),
            start_sec=row.start_sec,
            end_sec=row.end_sec,
        ):
            ids.see(streams.objects)
            lists.append(encode_frame(streams, spec.flow_bound, spec.jpeg_quality))
            if lists.bytes > LARGEST_RECORD_BYTES:
                raise VideoError(
                    f"{path}: {streams.time_sec:.0f} s fill the {LARGEST_RECORD_BYTES} bytes that a record can "
                    "hold. Annotate parts of it with start and end, or lower PrepareSpec.fps or short_side."
                )
            on_frame()
    ids.write(folder)
    if not lists.paths:
        raise VideoError(
            f"{path}: no frame lies between {row.start_sec} and {row.end_sec} seconds."
        )
    return spec.fps or probe(path).fps, lists.paths


def count_frames(row: VideoRow, spec: PrepareSpec, on_frame: Callable[[], None]) -> int:
    """Decodes a video and counts its frames; arguments and errors as of `encode_video`."""
    count = 0
    for _ in decode(Path(spec.videos) / row.path, short_side=_LEAST_SIDE):
        count += 1
        on_frame()
    return count


def encode_frame(streams: FrameStreams, flow_bound: float, jpeg_quality: int) -> dict[str, bytes]:
    """Encodes one frame of every stream that is present, as data/shard.py describes."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
    encoded = {"rgb": _image(".jpg", cv2.cvtColor(streams.rgb, cv2.COLOR_RGB2BGR), quality)}
    if streams.flow is not None:
        codes = quantise(streams.flow, flow_bound)
        encoded["flow"] = _image(".png", np.concatenate([codes[..., 0], codes[..., 1]]), [])
    if streams.objects is not None:
        encoded["objects"] = _image(".png", streams.objects, [])
    return encoded


def _image(suffix: str, pixels: np.ndarray, settings: list[int]) -> bytes:
    succeeded, encoded = cv2.imencode(suffix, pixels, settings)
    if not succeeded:
        raise RuntimeError(f"OpenCV could not encode a {suffix} image of shape {pixels.shape}.")
    return encoded.tobytes()
