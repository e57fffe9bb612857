"""The tests' way to small shards, of videos whose frames are lists."""

from __future__ import annotations

import dataclasses
import itertools

import tensorflow as tf

from official_vision.data.storage.shard_writer import SEGMENT_FRAMES, ShardWriter


def frames_in_turn(streams):
    """Frame after frame, each by stream, of stream -> list; a stream that ends early is absent from then on."""
    for frames in itertools.zip_longest(*streams.values()):
        present = zip(streams, frames, strict=True)
        yield {name: frame for name, frame in present if frame is not None}


def write_shard(path, videos, segment_frames=SEGMENT_FRAMES):
    """Writes StoredVideos whose frames are stream -> list, as preparation does; returns the entry."""
    with ShardWriter(path, segment_frames) as shard:
        for video in videos:
            shard.append(dataclasses.replace(video, frames=frames_in_turn(video.frames)))
    return shard.entry(path.name)


def records_in(path):
    """The serialised records of a shard."""
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
