"""Records in memory: what the streaming writer must equal, and the tests' way to small shards."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from pathlib import Path

import tensorflow as tf

from official_vision.data.storage.checksum import HEADER_BYTES
from official_vision.data.storage.frame_lists import FrameLists
from official_vision.data.storage.frame_records import place_of
from official_vision.data.storage.shard import ENCODED_KEYS, write


def encode(video):
    """A StoredVideo whose frames are lists of bytes, as a SequenceExample that protobuf itself writes."""
    example = tf.train.SequenceExample()
    context = example.context.feature
    context["clip/id"].bytes_list.value.append(video.id.encode())
    context["clip/video"].int64_list.value.append(video.video)
    context["clip/fps"].float_list.value.append(video.fps)
    context["flow/bound"].float_list.value.append(video.flow_bound)
    context["clip/label/index"].int64_list.value.extend(label[0] for label in video.labels)
    context["clip/label/text"].bytes_list.value.extend(label[1].encode() for label in video.labels)
    context["clip/label/start"].float_list.value.extend(label[2] for label in video.labels)
    context["clip/label/end"].float_list.value.extend(label[3] for label in video.labels)
    context["clip/times"].float_list.value.extend(video.times_sec)
    for stream, frames in video.frames.items():
        feature_list = example.feature_lists.feature_list[ENCODED_KEYS[stream]]
        for frame in frames:
            feature_list.feature.add().bytes_list.value.append(frame)
    return example.SerializeToString(deterministic=True)


def frames_in(paths):
    """The frames in files that FrameLists wrote, by stream, as protobuf reads them."""
    return {
        stream: [
            feature.bytes_list.value[0]
            for feature in tf.train.FeatureList.FromString(path.read_bytes()).feature
        ]
        for stream, path in paths.items()
    }


def original(stored):
    """A frame as it was before it was woven into its stream."""
    place = place_of(stored)
    begin = place.offset + HEADER_BYTES + place.skip
    return place.head + stored[begin : begin + place.length]


def write_shard(path, videos):
    """Writes StoredVideos whose frames are lists of bytes, as tools/prepare_data.py writes them."""
    with open(path, "wb") as shard, tempfile.TemporaryDirectory() as folder:
        for video in videos:
            with FrameLists(Path(folder)) as lists:
                for frames in itertools.zip_longest(*video.frames.values()):
                    present = zip(video.frames, frames, strict=True)
                    lists.append({name: frame for name, frame in present if frame is not None})
            write(dataclasses.replace(video, frames=lists.paths), shard)
