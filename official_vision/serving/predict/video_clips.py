"""Cuts clips of videos, as the network's training data was made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from official_vision.data.input import clip_span as span
from official_vision.data.input.geometry import crop_and_resize, evaluation_box
from official_vision.data.objects import object_source
from official_vision.data.optical_flow import dequantise, quantise
from official_vision.data.video import DecodingReport, FrameSequence
from official_vision.data.video_streams import FrameStreams, video_streams
from official_vision.errors import UserError
from official_vision.metrics.localisation.windows import windows
from official_vision.serving.export.description import Description
from official_vision.specs import DataSpec


def stacked(clips: Sequence[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
    """Returns clips of equal sizes as one batch."""
    return {name: tf.stack([streams[name] for streams in clips]) for name in clips[0]}


class Feeder:
    """Decodes videos and cuts clips of them for one network."""

    def __init__(
        self,
        description: Description,
        clip: DataSpec | None = None,
        broken_packet_share: float = 0.0,
    ):
        """Args:
        description: of the network: its streams and its data's preparation.
        clip: frames, step, size and filling of the clips; None takes those of the description.
        broken_packet_share: share of a video's packets that may be undecodable.
        """
        self.description = description
        self.clip = clip or description.clip
        self._broken_share = broken_packet_share
        # The flow of a clip's last frame spans a whole step.
        self.window_frames = self.clip.frames * self.clip.frame_stride

    def streams(
        self,
        video: str | os.PathLike | FrameSequence,
        start_sec: float | None = None,
        report: DecodingReport | None = None,
    ) -> Iterator[FrameStreams]:
        """Yields a video's streams, frame by frame, as the training data's were made.

        Args:
          video: its path, or frames.
          start_sec: the first frame's time; None for the video's start.
          report: is filled with what became of the file's frames.

        Raises:
          VideoError: the video can't be decoded.
        """
        preparation, wanted = self.description.preparation, self.description.streams
        return video_streams(
            video,
            short_side=preparation.short_side,
            fps=preparation.fps,
            flow=preparation.flow if "flow" in wanted else "none",
            objects=object_source(preparation, video) if "objects" in wanted else None,
            start_sec=start_sec,
            broken_share=self._broken_share,
            report=report,
        )

    def clips(
        self, cut: Iterator[tuple[int, list[FrameStreams]]]
    ) -> Iterator[tuple[np.ndarray, dict[str, tf.Tensor]]]:
        """Yields (frame numbers, features) of windows, as evaluation cuts and fills them."""
        for start, window in cut:
            length = tf.constant(len(window))
            positions = span.frame_numbers(tf.constant(0), length, self.clip).numpy()
            flow_positions = span.flow_numbers(tf.constant(0), length, self.clip).numpy()
            yield start + positions, self._features(window, positions, flow_positions)

    def first_clip(
        self, video: str | os.PathLike, start_sec: float | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns the features of the clip that begins at `start_sec`, without a batch axis.

        Raises:
          VideoError: the video can't be decoded so far.
          UserError: the video is over before.
        """
        cut = windows(self.streams(video, start_sec), self.window_frames, self.window_frames)
        first = next(self.clips(cut), None)
        if first is None:
            raise UserError(
                f"A clip must begin within the video. Received: {start_sec} s of {video}, which is over "
                "by then. Begin earlier."
            )
        return first[1]

    def _features(
        self, window: Sequence[FrameStreams], positions: np.ndarray, flow_positions: np.ndarray
    ) -> dict[str, tf.Tensor]:
        """Makes the streams of one clip as data/input/pipeline.py does, but without the loss of JPEG."""
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
        cut = crop_and_resize(tensors, box, self.clip.size, tf.constant(False))
        if "objects" in cut:
            cut["objects"] = cut["objects"][..., 0]
        return cut
