"""Predictions on whole videos, of any length, from an exported file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision.data.video import DecodingReport, FrameSequence, decode
from official_vision.data.video_streams import FrameStreams
from official_vision.errors import UserError
from official_vision.metrics.localisation.windows import (
    ScoreMerger,
    WindowPool,
    batches,
    smoothed,
    windows,
)
from official_vision.names import shown
from official_vision.serving.explain.gate_openings import GateValues
from official_vision.serving.export.exported_model import either, load_exported_model
from official_vision.serving.predict.annotated_video import ShownFrame, shown_frames
from official_vision.serving.predict.frame_times import FrameTimes
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.segments import Segment, segments
from official_vision.serving.predict.shared_stems import StemSharer
from official_vision.serving.predict.video_clips import Feeder, stacked
from official_vision.specs import DataSpec

_SAMPLES = 6
_MOST_SAMPLES_HELD = 4 * _SAMPLES  # the more, the more evenly they can be spread


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The prediction for a video.

    Attributes:
      video: its path.
      labels: class names.
      times_sec: [frames + 1], each frame's start and the end of the last, in seconds.
      frame_scores: [frames, classes], of merged windows, smoothed.
      scores: [classes], the windows' clip scores, pooled.
      segments: times at which a class is there, strongest first.
      samples: (time, rgb frame) spread over the video.
      settings: all that these depend on besides the file and the video, as JSON values.
      notes: a line for each thing about the file that its user should know.
    """

    video: str
    labels: tuple[str, ...]
    times_sec: np.ndarray
    frame_scores: np.ndarray
    scores: np.ndarray
    segments: Sequence[Segment]
    samples: Sequence[tuple[float, np.ndarray]]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Predictor:
    """An exported file, loaded, with the preparation that its training data had."""

    def __init__(self, path: str | os.PathLike, options: PredictOptions | None = None):
        """Args:
        path: see exported_model.load_exported_model.
        options: of every video.

        Raises:
          UserError: no exported file lies there, or options that it can't follow.
        """
        self.options = options or PredictOptions()
        self._serve = load_exported_model(path)
        self.description = self._serve.description
        self.feeder = Feeder(
            self.description, self._checked_clip(), self.options.broken_packet_share
        )
        self.window_frames = self.feeder.window_frames
        self.stride = self._checked_stride()

    def predict(
        self,
        video: str | os.PathLike | FrameSequence,
        on_frame: Callable[[float], None] | None = None,
    ) -> Prediction:
        """Classifies a video window by window, with one batch of windows and all scores in memory.

        Args:
          video: its path, or frames.
          on_frame: called with the time of each frame that has been read, in seconds; what it raises
            ends the work.

        Raises:
          VideoError: the video can't be decoded.
        """
        labels, options = self.description.labels, self.options
        recorder, report = _FrameRecorder(on_frame), DecodingReport()
        merger, pooled = ScoreMerger(len(labels)), WindowPool(options.pooling)
        sharer = self.stem_sharer()
        frames = recorder.noting(self.feeder.streams(video, report=report))
        cut = windows(frames, self.window_frames, self.stride)
        for batch in batches(self.feeder.clips(cut), options.batch_size):
            outputs = self.scores_of(batch, sharer)
            pooled.add(outputs["scores"])
            self._merge(merger, batch, outputs)
        times = recorder.times_with_end()
        merged = merger.scores(len(times) - 1)
        frame_scores = smoothed(merged, times, options.smoothing_sec)
        return Prediction(
            str(video),
            labels,
            times,
            frame_scores,
            pooled.scores(),
            segments(frame_scores, times, labels, options),
            recorder.samples(),
            {**options.to_dict(), "stride": self.stride, "window": self.feeder.clip.frames},
            tuple(report.lines()),
        )

    def _merge(
        self,
        merger: ScoreMerger,
        batch: list[tuple[np.ndarray, dict[str, tf.Tensor]]],
        outputs: Mapping[str, np.ndarray],
    ) -> None:
        """Adds a batch's scores, of windows or of their frames, as `options.merge` says."""
        for (frames, _), clip_score, by_frame in zip(
            batch, outputs["scores"], outputs["frame_scores"], strict=True
        ):
            merger.add_window(self.window_frames, frames, clip_score, by_frame, self.options.merge)

    def shown_frames(self, video: str | os.PathLike) -> Iterator[ShownFrame]:
        """Reads a video again: every frame in its original size, with the network's input at its time.

        Raises:
          VideoError: the video can't be decoded.
        """
        source = decode(video, broken_share=self.options.broken_packet_share)
        return shown_frames(source, self.feeder.streams(video))

    @property
    def _shares_stems(self) -> bool:
        return self.stride < self.window_frames and bool(self._serve.stems)

    def stem_sharer(self) -> StemSharer | None:
        """Returns what computes flow's stems once per frame of one video; None where windows can't share them."""
        return StemSharer(self._serve) if self._shares_stems else None

    def scores_of(
        self, batch: list[tuple[np.ndarray, dict[str, tf.Tensor]]], sharer: StemSharer | None
    ) -> dict[str, np.ndarray]:
        """Returns the scores and frame_scores of windows of one video.

        Args:
          batch: of `feeder.clips`, in their order.
          sharer: of `stem_sharer`, for the windows of this video.
        """
        # A clip that outlasts its video repeats frames, of which some have no motion then.
        if sharer and all((np.diff(frames) > 0).all() for frames, _ in batch):
            return sharer(batch)
        return self._serve(**stacked([features for _, features in batch]))

    @property
    def has_gates(self) -> bool:
        """Returns whether the file has the openings of its gates."""
        return self._serve.infer_gates is not None

    def gates(self, video: str | os.PathLike, start_sec: float) -> list[GateValues]:
        """Returns how far each gated connection opens on the clip that begins at `start_sec`.

        Raises:
          VideoError: the video can't be decoded so far.
          UserError: the video is over before, or the file lacks gates.
        """
        clip = self.feeder.first_clip(video, start_sec)
        return self._serve.gates(**{name: x[tf.newaxis] for name, x in clip.items()})

    def sharing(self) -> str:
        """Describes what overlapping windows compute once and what anew; empty where none overlap."""
        overlap = self.window_frames - self.stride
        if overlap <= 0:
            return ""
        share, worth = self.description.stem_share, ""
        if share is not None:
            worth = (
                f". These stems are {share:.1%} of the arithmetic: sharing them could save at most "
                f"{share * overlap / self.window_frames:.1%}"
            )
        fed = self.description.streams
        once = ["decoding", *(name for name in ("flow", "objects") if name in fed)]
        if self._shares_stems:
            once.append(f"flow's {'stem' if len(self._serve.stems) == 1 else 'stems'}")
        anew = "the other stems of the network" if self._shares_stems else "the network's stems"
        if "flow" not in fed and any("(flow)" in name for name in self.description.nodes):
            anew = "the flow that the network computes, whose grey scale depends on the window, and its stems"
        return (
            f"windows overlap by {overlap} of {self.window_frames} frames: {_listed(once)} "
            f"{'is' if len(once) == 1 else 'are'} done once per frame, {anew} anew in each window (an rgb "
            f"stem convolves over time and sees the edges of a window)"
            f"{worth}; --stride={self.window_frames} computes each once"
        )

    def _checked_clip(self) -> DataSpec:
        clip, window, fixed = self.description.clip, self.options.window, self._serve.frames
        if fixed and window is None:
            window = min(fixed, key=lambda frames: abs(frames - clip.frames))
        if fixed and window not in fixed:
            raise UserError(
                f"A window of this file must have {either(fixed)} frames. Received: --window={window}. "
                "Leave it out, or take the SavedModel."
            )
        return dataclasses.replace(clip, frames=window) if window else clip

    def _checked_stride(self) -> int:
        stride = self.options.stride
        if stride is None:
            return max(1, self.window_frames // 2)
        if not 1 <= stride <= self.window_frames:
            raise UserError(
                f"A stride must be from 1 to a window's {self.window_frames} frames. Received: {stride}."
            )
        return stride


class _FrameRecorder:
    """Records every frame's time, and a few frames to show."""

    def __init__(self, on_frame: Callable[[float], None] | None) -> None:
        self._on_frame = on_frame
        self._times = FrameTimes()
        self._samples: list[tuple[float, np.ndarray]] = []
        self._every = 1

    def noting(self, frames: Iterator[FrameStreams]) -> Iterator[FrameStreams]:
        for frame in frames:
            if len(self._times) % self._every == 0:
                self._samples.append((frame.time_sec, frame.rgb))
                if len(self._samples) > _MOST_SAMPLES_HELD:
                    self._samples = self._samples[::2]
                    self._every *= 2
            self._times.add(frame)
            if self._on_frame:
                self._on_frame(frame.time_sec)
            yield frame

    def times_with_end(self) -> np.ndarray:
        return self._times.with_end()

    def samples(self) -> list[tuple[float, np.ndarray]]:
        """Returns the frames nearest to the middles of equal parts of the video."""
        count = min(_SAMPLES, len(self._samples))
        middles = (np.arange(count) + 0.5) / count * len(self._times)
        # Frame n lasts from n to n + 1, so its middle is n + 0.5.
        nearest = np.rint((middles - 0.5) / self._every).astype(int)
        return [self._samples[i] for i in np.minimum(nearest, len(self._samples) - 1)]


def to_dict(prediction: Prediction) -> dict[str, Any]:
    """Returns the prediction as JSON values: classes by score, segments, settings, and scores over time."""
    order = np.argsort(-prediction.scores, kind="stable")
    return {
        "video": prediction.video,
        "duration_sec": float(prediction.times_sec[-1]),
        "classes": [
            {"label": prediction.labels[i], "score": float(prediction.scores[i])} for i in order
        ],
        "segments": [dataclasses.asdict(segment) for segment in prediction.segments],
        "settings": dict(prediction.settings),
        "notes": list(prediction.notes),
        "scores_over_time": _scores_over_time(prediction),
    }


def _scores_over_time(prediction: Prediction) -> dict[str, Any]:
    """Returns each class's scores at the times at which frames begin; means of several where there are many."""
    frames = len(prediction.frame_scores)
    most = prediction.settings.get("score_points") or frames
    firsts = np.unique(np.arange(min(most, frames)) * frames // min(most, frames))
    counts = np.diff([*firsts, frames])[:, np.newaxis]
    means = np.add.reduceat(prediction.frame_scores, firsts, axis=0) / counts
    return {
        "times_sec": np.round(prediction.times_sec[firsts], 6).tolist(),
        # float64 first: a float32 rounded to 4 digits is written with 17.
        "scores": dict(
            zip(prediction.labels, means.astype(np.float64).round(4).T.tolist(), strict=True)
        ),
    }


def to_text(prediction: Prediction, most: int = 5) -> str:
    """Returns the table that the command prints: the top classes and the times at which they are strongest."""
    order = np.argsort(-prediction.scores, kind="stable")[:most]
    width = max(len(label) for label in prediction.labels)
    lines = [
        f"{shown(prediction.video)} ({prediction.times_sec[-1]:.1f} s)",
        *(f"note: {note}" for note in prediction.notes),
        f"{'class':<{width}}  score  seconds",
    ]
    for i in order:
        times = [
            f"{segment.start_sec:.1f}-{segment.end_sec:.1f}"
            for segment in sorted(prediction.segments, key=lambda segment: segment.start_sec)
            if segment.label == prediction.labels[i]
        ]
        when = ", ".join(times[:6]) + (f" and {len(times) - 6} more" if len(times) > 6 else "")
        lines.append(f"{prediction.labels[i]:<{width}}  {prediction.scores[i]:5.3f}  {when or '-'}")
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
