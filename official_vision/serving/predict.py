"""Predictions on whole videos, of any length, from an exported file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision.data import span
from official_vision.data.flow import dequantise, quantise
from official_vision.data.geometry import crop_and_resize, evaluation_box
from official_vision.data.objects import object_source
from official_vision.data.streams import FrameStreams, video_streams
from official_vision.errors import UserError
from official_vision.serving.description import read_description, version_folder
from official_vision.serving.windows import ScoreMerger, Segment, segments, windows

_SAMPLES = 6
_MOST_SAMPLES_HELD = 4 * _SAMPLES  # the more, the more evenly they can be spread


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What was found in a video.

    Attributes:
      video: its path.
      labels: class names.
      times_sec: [frames + 1], each frame's start and the end of the last, in seconds.
      frame_scores: [frames, classes].
      scores: [classes], the mean of the windows' clip scores.
      segments: times at which a class scores above the threshold, strongest first.
      samples: (time, rgb frame) spread over the video.
    """

    video: str
    labels: tuple[str, ...]
    times_sec: np.ndarray
    frame_scores: np.ndarray
    scores: np.ndarray
    segments: Sequence[Segment]
    samples: Sequence[tuple[float, np.ndarray]]


class Predictor:
    """An exported file, loaded, with the preparation that its training data had."""

    def __init__(self, path: str | os.PathLike):
        """Args:
        path: a version's folder, or the folder of versions, whose greatest is taken.

        Raises:
          UserError: no exported file lies there.
        """
        folder = version_folder(path)
        self.description = read_description(folder)
        try:
            self._loaded = tf.saved_model.load(str(folder))
            self._serve = self._loaded.signatures["serving_default"]
        except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
            raise UserError(
                f"An exported file must be whole. Received: {folder} ({_first_line(error)}). Export again."
            ) from error
        clip = self.description.clip
        # The flow of a clip's last frame leads a whole step on.
        self.window_frames = clip.frames * clip.frame_stride

    def predict(
        self,
        video: str | os.PathLike,
        *,
        stride: int | None = None,
        batch_size: int = 4,
        threshold: float = 0.5,
    ) -> Prediction:
        """Classifies a video window by window, holding one batch of windows and all scores.

        Args:
          video: its path.
          stride: frames from one window to the next; None takes half a window.
          batch_size: windows at a time.
          threshold: least score of a segment.

        Raises:
          VideoError: the video can't be decoded.
          UserError: a stride that would leave frames out.
        """
        stride = self._checked_stride(stride)
        labels = self.description.labels
        kept = _Kept()
        merger, clip_scores = ScoreMerger(len(labels)), []
        cut = windows(kept.noting(self._streams(video)), self.window_frames, stride)
        for batch in _batches(self._clips(cut), batch_size):
            answer = self._serve(**_stacked([features for _, features in batch]))
            clip_scores += list(answer["scores"].numpy())
            for (frames, _), own in zip(batch, answer["frame_scores"].numpy(), strict=True):
                merger.add(frames, own)
        times = kept.times_with_end()
        frame_scores = merger.scores(len(times) - 1)
        found = segments(frame_scores, times, labels, threshold)
        mean = np.mean(clip_scores, axis=0)
        return Prediction(str(video), labels, times, frame_scores, mean, found, kept.samples())

    def _checked_stride(self, stride: int | None) -> int:
        if stride is None:
            return max(1, self.window_frames // 2)
        if not 1 <= stride <= self.window_frames:
            raise UserError(
                f"A stride must be from 1 to a window's {self.window_frames} frames. Received: {stride}."
            )
        return stride

    def _streams(self, video: str | os.PathLike) -> Iterator[FrameStreams]:
        preparation, wanted = self.description.preparation, self.description.streams
        return video_streams(
            video,
            short_side=preparation.short_side,
            fps=preparation.fps,
            flow=preparation.flow if "flow" in wanted else "none",
            objects=object_source(preparation, video) if "objects" in wanted else None,
        )

    def _clips(
        self, cut: Iterator[tuple[int, list[FrameStreams]]]
    ) -> Iterator[tuple[np.ndarray, dict[str, tf.Tensor]]]:
        """Windows -> (frame numbers, features), as evaluation cuts and fills them."""
        for start, window in cut:
            length, clip = tf.constant(len(window)), self.description.clip
            positions = span.frame_numbers(tf.constant(0), length, clip).numpy()
            flow_positions = span.flow_numbers(tf.constant(0), length, clip).numpy()
            yield start + positions, self._features(window, positions, flow_positions)

    def _features(
        self, window: Sequence[FrameStreams], positions: np.ndarray, flow_positions: np.ndarray
    ) -> dict[str, tf.Tensor]:
        """Streams of one clip as data/input.py makes them, but for the loss of JPEG."""
        features, wanted = {}, self.description.streams
        if "rgb" in wanted:
            features["rgb"] = np.stack([window[i].rgb for i in positions])
        if "flow" in wanted:
            bound = self.description.preparation.flow_bound
            # Clipped and rounded as in the shards: the network has never seen a larger motion.
            flow = dequantise(quantise(np.stack([frame.flow for frame in window]), bound), bound)
            moving = (flow_positions != span.NO_MOTION)[..., np.newaxis, np.newaxis, np.newaxis]
            features["flow"] = np.where(moving, flow[flow_positions], np.float32(0)).sum(axis=1)
        if "objects" in wanted:
            features["objects"] = np.stack([window[i].objects for i in positions])[..., np.newaxis]
        height, width = window[0].rgb.shape[:2]
        box = evaluation_box(tf.constant(height), tf.constant(width), tf.constant(0.5))
        tensors = {name: tf.constant(x) for name, x in features.items()}
        cut = crop_and_resize(tensors, box, self.description.clip.size, tf.constant(False))
        if "objects" in cut:
            cut["objects"] = cut["objects"][..., 0]
        return cut


class _Kept:
    """What outlives the windows: every frame's time, and a few frames to show."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._samples: list[tuple[float, np.ndarray]] = []
        self._every = 1

    def noting(self, frames: Iterator[FrameStreams]) -> Iterator[FrameStreams]:
        for frame in frames:
            if len(self._times) % self._every == 0:
                self._samples.append((frame.time_sec, frame.rgb))
                if len(self._samples) > _MOST_SAMPLES_HELD:
                    self._samples = self._samples[::2]
                    self._every *= 2
            self._times.append(frame.time_sec)
            yield frame

    def times_with_end(self) -> np.ndarray:
        steps = np.diff(self._times)
        last = float(np.median(steps)) if len(steps) else 1 / 25
        return np.array([*self._times, self._times[-1] + last])

    def samples(self) -> list[tuple[float, np.ndarray]]:
        """The frames nearest to the middles of equal parts of the video."""
        count = min(_SAMPLES, len(self._samples))
        middles = (np.arange(count) + 0.5) / count * len(self._times)
        # Frame n lasts from n to n + 1, so its own middle is n + 0.5.
        nearest = np.rint((middles - 0.5) / self._every).astype(int)
        return [self._samples[i] for i in np.minimum(nearest, len(self._samples) - 1)]


def to_dict(prediction: Prediction) -> dict[str, Any]:
    """Returns the prediction as JSON values: classes by score, and segments."""
    order = np.argsort(-prediction.scores, kind="stable")
    return {
        "video": prediction.video,
        "duration_sec": float(prediction.times_sec[-1]),
        "classes": [
            {"label": prediction.labels[i], "score": float(prediction.scores[i])} for i in order
        ],
        "segments": [dataclasses.asdict(segment) for segment in prediction.segments],
    }


def to_text(prediction: Prediction, most: int = 5) -> str:
    """Returns the table that the command prints: the top classes and when they are strongest."""
    order = np.argsort(-prediction.scores, kind="stable")[:most]
    width = max(len(label) for label in prediction.labels)
    lines = [
        f"{prediction.video} ({prediction.times_sec[-1]:.1f} s)",
        f"{'class':<{width}}  score  seconds",
    ]
    for i in order:
        times = [
            f"{segment.start_sec:.1f}-{segment.end_sec:.1f}"
            for segment in sorted(prediction.segments, key=lambda segment: segment.start_sec)
            if segment.label == prediction.labels[i]
        ]
        shown = ", ".join(times[:6]) + (f" and {len(times) - 6} more" if len(times) > 6 else "")
        lines.append(
            f"{prediction.labels[i]:<{width}}  {prediction.scores[i]:5.3f}  {shown or '-'}"
        )
    return "\n".join(lines)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _batches(items: Iterator, size: int) -> Iterator[list]:
    held = []
    for item in items:
        held.append(item)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def _stacked(features: Sequence[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
    return {name: tf.stack([own[name] for own in features]) for name in features[0]}
