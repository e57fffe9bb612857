"""Reads the part of a video that a clip needs, with its labels."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from official_vision.data.input import clip_span as span
from official_vision.data.input.clip import decode_clip, frame_size, num_frames
from official_vision.data.storage.damaged_segments import Skipped, report_damage
from official_vision.data.storage.index import Index
from official_vision.data.storage.segments import segments_of
from official_vision.specs import DataSpec

Record = dict[str, tf.Tensor]


class ClipReader:
    """Reads the segments that a clip needs, and cuts it; a damaged one gives a masked row or raises."""

    def __init__(
        self,
        spec: DataSpec,
        index: Index,
        streams: Sequence[str],
        skipped: Skipped | None,
        frame_labels: bool = False,
    ):
        """Args:
        spec: of the clips.
        index: of the split.
        streams: to read.
        skipped: notified of damaged segments; None raises.
        frame_labels: whether targets hold the labels of each frame of the clip.
        """
        self.spec = spec
        self.index = index
        self.streams = streams
        self.frame_labels = frame_labels
        self._segments = segments_of(spec.path, index)
        self._skipped = skipped

    def num_frames(self, position: tf.Tensor) -> tf.Tensor:
        """Returns the number of frames of the video at a position, a scalar int32."""
        return self._segments.num_frames(position)

    def frames(self, position: tf.Tensor, start: tf.Tensor) -> Record:
        """Returns, as a record, those frames of a video that a clip from `start` on can need."""
        # The flow from a clip's last frame to the next belongs to a frame step too.
        count = self.spec.frames * self.spec.frame_stride
        return self._segments.window(position, start, count, self.streams)

    def report(self, mask: tf.Tensor, positions: tf.Tensor) -> None:
        """Reports the clips [clips] whose mask is 0, by the positions of their videos."""
        report_damage(mask == 0, positions, self.spec.path, self._skipped)

    def size(self, frames: Record) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the height and width of the frames, scalars int32."""
        return frame_size(frames, tf.constant(0), self.streams)

    def clip(self, frames: Record, box: tf.Tensor, flip: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the streams of the clip that begins with the first of the frames."""
        return decode_clip(frames, tf.constant(0), box, flip, self.spec, self.streams)

    def targets(self, frames: Record, position: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the labels of the clip that begins with the first of the frames, and what identifies it.

        Args:
          frames: that the clip can need.
          position: of the video. Records have its row in the annotation, which counts videos that were left out.
        """
        classes, start = len(self.index.classes), tf.constant(0)
        targets = {
            "labels": span.clip_labels(frames, start, classes, self.spec),
            "mask": tf.constant(1.0),
            "video": tf.cast(position, tf.int32),
        }
        if self.frame_labels:
            shown = span.frame_numbers(start, num_frames(frames, self.streams), self.spec)
            targets["frame_labels"] = span.frame_labels(frames, shown, classes)
        return targets

    def window_targets(
        self, frames: Record, position: tf.Tensor, start: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns what is known of all stored frames of a window, as metrics/localisation/frames.py takes it.

        Args:
          frames: of the window; a short video has fewer than the window.
          position: of the video.
          start: number of the window's first frame in it.
        """
        window = self.spec.frames * self.spec.frame_stride
        length = num_frames(frames, self.streams)
        stored = tf.minimum(tf.range(window), length - 1)
        return {
            "mask": tf.constant(1.0),
            "video": tf.cast(position, tf.int32),
            "start": start,
            "shown": start + span.frame_numbers(tf.constant(0), length, self.spec),
            "labels": span.frame_labels(frames, stored, len(self.index.classes)),
            "times": tf.gather(frames["times"], tf.minimum(tf.range(window + 1), length)),
        }
