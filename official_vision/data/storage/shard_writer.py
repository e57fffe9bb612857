"""Writes shards: TFRecords of tf.train.SequenceExample, one per segment of a video (data/storage/shard.py)."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from official_vision import files
from official_vision.data.storage.index import ShardEntry
from official_vision.data.storage.shard import ENCODED_KEYS, RECORD_OVERHEAD_BYTES

# By measurement (docs/design.md): of 16 to 32 frames the least to read for short clips.
SEGMENT_FRAMES = 16


@dataclasses.dataclass(frozen=True)
class StoredVideo:
    """A video as it is stored.

    Attributes:
      id, video: its name and its row number in the split.
      fps: frames per second.
      labels: (class index, class name, start, end) with seconds, WHOLE_VIDEO for both ends of a
        label that holds throughout.
      flow_bound: greatest stored displacement in pixels.
      frames: the encoded frames in order, each by stream; iterated over once.
      times_sec: [frames + 1], when each frame begins and the last one ends; empty where frames come at
        the steady rate `fps`.
    """

    id: str
    video: int
    fps: float
    labels: Sequence[tuple[int, str, float, float]]
    flow_bound: float
    frames: Iterable[Mapping[str, bytes]]
    times_sec: Sequence[float] = ()


class ShardWriter(contextlib.AbstractContextManager):
    """Writes one shard, video after video, holding one segment in memory; a context that closes the file.

    Equal videos give equal bytes. Where the disk is full, `append` or the context's end raises an error of
    TensorFlow, whose text has the system's words.
    """

    def __init__(self, path: Path, segment_frames: int = SEGMENT_FRAMES):
        """Args:
        path: of the shard, which is overwritten.
        segment_frames: frames of a segment.
        """
        self._path = path
        self.segment_frames = segment_frames
        self._writer = tf.io.TFRecordWriter(str(path))
        self._end = 0
        self._offsets: list[int] = []
        self._frames: list[int] = []

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def append(self, video: StoredVideo) -> None:
        """Writes a video's segments."""
        frames, count = iter(video.frames), 0
        while segment := list(itertools.islice(frames, self.segment_frames)):
            content = _segment_example(video, count, segment).SerializeToString(deterministic=True)
            self._writer.write(content)
            self._offsets.append(self._end)
            self._end += len(content) + RECORD_OVERHEAD_BYTES
            count += len(segment)
        self._frames.append(count)

    def entry(self, name: str) -> ShardEntry:
        """Returns the index's entry of the shard, once it is closed.

        Args:
          name: that the file will have in the split's folder.
        """
        return ShardEntry(
            name,
            self._path.stat().st_size,
            files.sha256(self._path),
            tuple(self._offsets),
            tuple(self._frames),
        )


def _segment_example(
    video: StoredVideo, first: int, frames: Sequence[Mapping[str, bytes]]
) -> tf.train.SequenceExample:
    """The segment that begins with the video's frame number `first`."""
    example = tf.train.SequenceExample()
    feature = example.context.feature
    feature["clip/id"].bytes_list.value.append(video.id.encode())
    feature["clip/video"].int64_list.value.append(video.video)
    feature["clip/first_frame"].int64_list.value.append(first)
    feature["clip/fps"].float_list.value.append(video.fps)
    feature["flow/bound"].float_list.value.append(video.flow_bound)
    # An empty feature still has a kind; readers of variable length ask for it.
    feature["clip/label/index"].int64_list.value.extend(label[0] for label in video.labels)
    feature["clip/label/text"].bytes_list.value.extend(label[1].encode() for label in video.labels)
    feature["clip/label/start"].float_list.value.extend(label[2] for label in video.labels)
    feature["clip/label/end"].float_list.value.extend(label[3] for label in video.labels)
    numbers = range(first, first + len(frames) + 1)
    times = [video.times_sec[n] if video.times_sec else n / video.fps for n in numbers]
    feature["clip/times"].float_list.value.extend(times)
    for frame in frames:
        for stream, encoded in frame.items():
            stored = example.feature_lists.feature_list[ENCODED_KEYS[stream]].feature.add()
            stored.bytes_list.value.append(encoded)
    return example
