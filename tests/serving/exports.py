"""Small exported files, videos and runs whose scores are known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import tensorflow as tf

from official_vision import formats
from official_vision.architecture.formats import save_architecture
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.config import Config
from official_vision.data.annotations.manifest import VideoRow
from official_vision.data.objects.detectors import OPENCV_CLASS_NAMES
from official_vision.data.storage.frame_encoding import encode_video
from official_vision.data.storage.frame_file import read_frames
from official_vision.data.storage.index import Index
from official_vision.data.storage.label_summary import label_summary
from official_vision.data.storage.shard_writer import ShardWriter, StoredVideo
from official_vision.files import scratch_folder
from official_vision.modeling.builder import build_model
from official_vision.serving.export.description import feeding_to_dict
from official_vision.specs import DataSpec, ModelSpec, OptimizerSpec, PrepareSpec, TrainSpec

LABELS = ("bright", "late", "rightwards", "labelled")
FEATURE_NODE = 3  # of ARCHITECTURE, whose averages its exports give
NEUTRAL = 0  # the object id of nothing detected


class KnownScores(tf.Module):
    """Scores that anyone can work out from a clip, a class each.

    bright: a frame's mean colour / 255; late: its place in the clip, 0 to less than 1; rightwards: its
    mean flow along x / 10; labelled: the share of its pixels with an object. A clip's score is its
    last frame's.
    """

    def __init__(self, assets):
        super().__init__()
        self.assets = [tf.saved_model.Asset(str(path)) for path in assets]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, None, 3], tf.uint8, "rgb"),
            tf.TensorSpec([None, None, None, None, 2], tf.float32, "flow"),
            tf.TensorSpec([None, None, None, None], tf.uint8, "objects"),
        ]
    )
    def serve(self, rgb, flow, objects):
        frames = tf.shape(rgb)[1]
        place = tf.cast(tf.range(frames), tf.float32) / tf.cast(frames, tf.float32)
        columns = [
            tf.reduce_mean(tf.cast(rgb, tf.float32), [2, 3, 4]) / 255,
            tf.tile(place[tf.newaxis], [tf.shape(rgb)[0], 1]),
            tf.reduce_mean(flow[..., 0], [2, 3]) / 10,
            tf.reduce_mean(tf.cast(tf.cast(objects, tf.int32) != NEUTRAL, tf.float32), [2, 3]),
        ]
        frame_scores = tf.stack(columns, -1)
        return {
            "scores": frame_scores[:, -1],
            "frame_scores": frame_scores,
            "labels": tf.tile(tf.constant([LABELS]), [tf.shape(rgb)[0], 1]),
        }


def description(**clip):
    """The model.json of KnownScores, fed with clips as `clip` sets."""
    return {
        "labels": list(LABELS),
        "streams": ["rgb", "flow", "objects"],
        **feeding_to_dict(
            PrepareSpec(short_side=32, flow="dis", flow_bound=20.0, objects="opencv").to_dict(),
            DataSpec(**{"frames": 4, "size": 16, **clip}),
        ),
        "nodes": [],
        "gates": [],
        "stem_share": None,
        "shared_stems": [],
        "feature_nodes": [],
    }


def save_known_scores(folder):
    """Writes `folder`/1 as export would."""
    path = folder / "model.json"
    formats.EXPORTED_MODEL.write(path, description())
    module = KnownScores([path])
    tf.saved_model.save(module, str(folder / "1"), signatures={"streams": module.serve})
    path.unlink()
    return folder


def with_clip(folder, **clip):
    """The same file, fed with other clips."""
    path = folder / "1" / "assets" / "model.json"
    formats.EXPORTED_MODEL.write(path, description(**clip))
    return folder


def write_video(path, frames, fps=25):
    """Writes rgb uint8 [height, width, 3] frames of even sizes; colours err by about one level."""
    # The header comes first, so that a file that is cut can still be opened.
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = None
        for rgb in frames:
            if stream is None:
                options = {"crf": "1", "preset": "ultrafast"}
                stream = container.add_stream("libx264", rate=Fraction(fps), options=options)
                stream.height, stream.width, stream.pix_fmt = *rgb.shape[:2], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb))))
        container.mux(stream.encode())
    return path


def first_frames(source, count, path):
    """Writes the first frames of a real video as a separate video."""
    frames = []
    with av.open(str(source)) as container:
        for picture in container.decode(video=0):
            frames.append(picture.to_ndarray(format="rgb24"))
            if len(frames) == count:
                break
    return write_video(path, frames)


def write_split(folder, videos, spec, classes=LABELS):
    """Writes a prepared split of one shard from whole videos, each one segment as far as 32 frames."""
    folder.mkdir(parents=True)
    shard = folder / "shard-00000-of-00001.tfrecord"
    with ShardWriter(shard, 32) as writer:
        for number, path in enumerate(videos):
            row = VideoRow(Path(path).stem, str(path), "validation", ())
            with scratch_folder(folder) as scratch:
                video = encode_video(row, spec, scratch)
                labels = [(number % len(classes), classes[number % len(classes)], -1.0, -1.0)]
                stored = StoredVideo(
                    row.id,
                    number,
                    video.fps,
                    labels,
                    spec.flow_bound,
                    read_frames(video.frames),
                    video.times_sec,
                )
                writer.append(stored)
    entry = writer.entry(shard.name)
    ids = tuple(Path(path).stem for path in videos)
    streams = ("rgb", "flow", "objects")
    index = Index(
        "validation",
        tuple(classes),
        streams,
        (entry,),
        32,
        ids,
        spec.flow,
        spec.flow_bound,
        OPENCV_CLASS_NAMES,
        spec.to_dict(),
        {},
        **label_summary(
            [(name, [(n % len(classes), -1.0, -1.0)]) for n, name in enumerate(ids)], len(classes)
        ),
    )
    index.write(folder)
    return index


ARCHITECTURE = Architecture(
    "tiny",
    (
        Stem("rgb", 4),
        Stem("flow", 4),
        Stem("object", 3),
        Block(1, (0, 1, 2), 4),
        Block(4, (3,), 8, 1, 2),
    ),
    depth=26,
)


def write_run(folder, split, fingerprint, step=7):
    """Writes a run's folder as training leaves it; the weights are random. Returns its network."""
    spec = ModelSpec(
        num_classes=len(LABELS),
        num_object_classes=len(OPENCV_CLASS_NAMES),
        width_multiplier=0.1,
        dropout_rate=0.5,
    )
    data = DataSpec(path=str(split), frames=4, size=32, batch_size=1)
    train = TrainSpec(model_dir=str(folder))
    config = Config(spec, data, data, train, OptimizerSpec(), PrepareSpec())
    config.save(folder, {"validation": fingerprint})
    save_architecture(ARCHITECTURE, folder / "architecture.json")
    tf.random.set_seed(step)
    model = build_model(spec, ARCHITECTURE)
    generator = np.random.default_rng(step)
    for weight in model.weights:
        # Variances must be positive; so small otherwise that scores are neither 0 nor 1.
        positive = "variance" in weight.name or "gamma" in weight.name
        values = generator.uniform(0.5, 1.5, weight.shape)
        weight.assign(values if positive else generator.normal(0, 0.2, weight.shape))
    checkpoint = tf.train.Checkpoint(model=model, global_step=tf.Variable(step, dtype=tf.int64))
    tf.train.CheckpointManager(checkpoint, str(folder / "best"), max_to_keep=1).save()
    return model


def write_broken_videos(folder, source):
    """Writes a video that is cut in its middle and a text file with a video's name; returns both."""
    whole = first_frames(source, 30, folder / "whole.mp4")
    cut, text = folder / "cut.mp4", folder / "text.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    text.write_text("no video at all\n")
    return cut, text
