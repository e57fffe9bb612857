"""Features of whole videos, of any length, in the memory of one batch of windows."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import numpy as np

from official_vision.data.video import DecodingReport, FrameSequence
from official_vision.errors import UserError
from official_vision.metrics.localisation.windows import (
    ScoreMerger,
    batches,
    centre_weights,
    windows,
)
from official_vision.serving.features.feature_model import FeatureModel
from official_vision.serving.features.options import FeatureOptions
from official_vision.serving.predict.frame_times import FrameTimes
from official_vision.serving.predict.video_clips import Feeder, stacked


class Extractor:
    """A network up to one of its features, with the preparation that its training data had."""

    def __init__(self, model: FeatureModel, options: FeatureOptions):
        """Args:
        model: the network.
        options: of every video.

        Raises:
          UserError: a stride longer than a window.
        """
        self._model = model
        self.options = options
        clip = model.description.clip
        if options.window:
            clip = dataclasses.replace(clip, frames=options.window)
        self._feeder = Feeder(model.description, clip, options.broken_packet_share)
        self.window_frames = self._feeder.window_frames
        self.stride = options.stride
        if self.stride is None:
            self.stride = max(1, self.window_frames // 2)
        if not 1 <= self.stride <= self.window_frames:
            raise UserError(
                f"A stride must be from 1 to a window's {self.window_frames} frames. Received: {self.stride}."
            )

    @property
    def preparation_fps(self) -> float | None:
        """The frame rate that every video is brought to; None where each keeps that of its file."""
        return self._model.description.preparation.fps

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes: of the channels of logits."""
        return self._model.description.labels

    def rows(
        self,
        video: str | os.PathLike | FrameSequence,
        times: FrameTimes,
        report: DecodingReport | None = None,
    ) -> Iterator[np.ndarray]:
        """Yields a video's features as they are final, float32 [rows, channels].

        A row is a frame's, or that of a window that begins at a multiple of the stride: the frames after the last
        whole one of these have no row, but a video shorter than a window has one.

        Args:
          video: its path, or frames.
          times: is filled with those of its frames.
          report: is filled with what became of the file's frames.

        Raises:
          VideoError: the video can't be decoded.
        """
        frames = times.noting(self._feeder.streams(video, report=report))
        cut = windows(frames, self.window_frames, self.stride)
        if self.options.per == "window":
            cut = ((start, window) for start, window in cut if start % self.stride == 0)
        merger, weights = None, centre_weights(self.window_frames)
        for batch in batches(self._feeder.clips(cut), self.options.batch_size):
            by_frame, by_clip = self._model.infer(stacked([clip for _, clip in batch]))
            if self.options.per == "window":
                yield by_clip
                continue
            merger = merger or ScoreMerger(by_frame.shape[-1])
            for (numbers, _), values in zip(batch, by_frame, strict=True):
                merger.add(numbers, values, weights[numbers - numbers[0]])
            yield merger.take(batch[-1][0][0])
        if merger:
            yield merger.take(len(times))
