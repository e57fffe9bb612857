"""A data set of four scenes, a network for it, and runs that take seconds."""

from __future__ import annotations

import dataclasses
import shutil

import cv2
import numpy as np
import tensorflow as tf

from official_vision.architecture.formats import save_architecture
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.config import Config
from official_vision.data.optical_flow import quantise
from official_vision.data.storage.index import Index
from official_vision.data.storage.label_summary import label_summary
from official_vision.data.storage.shard_writer import SEGMENT_FRAMES, StoredVideo
from official_vision.specs import (
    DataSpec,
    EvaluationSpec,
    LossSpec,
    ModelSpec,
    OptimizerSpec,
    PrepareSpec,
    TrainSpec,
)
from tests.data.records import write_shard

CLASSES = ("red", "green", "blue", "grey")
STREAMS = ("rgb", "flow", "objects")
FRAMES, SIZE = 4, 32
_COLOURS = {0: (200, 40, 40), 1: (40, 200, 40), 2: (40, 40, 200), 3: (120, 120, 120)}


def frames_of(scene, seed, streams=STREAMS):
    """A scene's colour with noise; flow and object ids go with the scene too."""
    random = np.random.default_rng(seed)
    encoded = {name: [] for name in streams}
    for _ in range(FRAMES):
        noise = random.normal(0, 10, (SIZE, SIZE, 3))
        rgb = np.clip(np.array(_COLOURS[scene]) + noise, 0, 255).astype(np.uint8)
        flow = np.full((SIZE, SIZE, 2), scene - 1.5, np.float32)
        codes = quantise(flow, 20.0)
        pictures = {
            "rgb": (".jpg", rgb[..., ::-1]),
            "flow": (".png", np.concatenate([codes[..., 0], codes[..., 1]])),
            "objects": (".png", np.full((SIZE, SIZE), scene, np.uint8)),
        }
        for name in streams:
            suffix, picture = pictures[name]
            encoded[name].append(cv2.imencode(suffix, picture)[1].tobytes())
    return encoded


def write_split(
    folder, scenes, *, seed=0, streams=STREAMS, classes=CLASSES, same_pixels=False, bounds=None
):
    """Writes a prepared split: video i shows scenes[i] and has the label of that number.

    `bounds` gives videos by number another greatest flow than 20 pixels.
    """
    folder.mkdir(parents=True)
    shard = folder / "shard-00000-of-00001.tfrecord"
    videos = []
    for number, scene in enumerate(scenes):
        pixels = frames_of(0 if same_pixels else scene, 0 if same_pixels else seed + number)
        frames = {name: pixels[name] for name in streams}
        labels = [(scene, classes[scene], -1.0, -1.0)]
        bound = (bounds or {}).get(number, 20.0)
        videos.append(StoredVideo(f"v{number}", number, 25.0, labels, bound, frames))
    entry = write_shard(shard, videos)
    ids = tuple(f"v{number}" for number in range(len(scenes)))
    index = Index(
        folder.name,
        tuple(classes),
        tuple(streams),
        (entry,),
        SEGMENT_FRAMES,
        ids,
        "dis",
        20.0,
        ("none", "a", "b", "c"),
        PrepareSpec(output=str(folder.parent), short_side=SIZE).to_dict(),
        {},
        **label_summary(
            [(video.id, [(label[0], *label[2:]) for label in video.labels]) for video in videos],
            len(classes),
        ),
    )
    index.write(folder)
    return index


def write_data(folder, classes=CLASSES):
    """Two splits: 16 videos to train on, and 6 to validate on: not a multiple of the batch."""
    write_split(folder / "train", [n % 4 for n in range(16)], classes=classes)
    write_split(folder / "validation", [0, 1, 2, 3, 0, 1], seed=100, classes=classes)
    return folder


def architecture(name="small", last=8, streams=STREAMS):
    """A stem per stream, a block that joins them, and one that reads it and the first stem.

    Of one stream alone, a training takes two thirds of the time: for tests of what goes on around a network.
    """
    stems = tuple(Stem("object" if stream == "objects" else stream, 4) for stream in streams)
    numbers = tuple(range(len(stems)))
    blocks = (Block(1, numbers, 4), Block(2, (0, len(stems)), last, 1, 2))
    return Architecture(name, (*stems, *blocks), depth=26)


def save_small(folder, **settings):
    """Writes the architecture as a file and returns its path."""
    path = folder / "small.json"
    save_architecture(architecture(**settings), path)
    return str(path)


def config(data, model_dir, graph, **settings):
    """A run's settings; `settings` go to whichever spec has such a name."""
    sections = {
        "model": ModelSpec(
            architecture=graph,
            num_classes=len(CLASSES),
            num_object_classes=4,
            activation="softmax",
            dropout_rate=0.0,
        ),
        "train_data": DataSpec(
            path=str(data / "train"), batch_size=4, frames=FRAMES, size=SIZE, min_crop_area=0.8
        ),
        "validation_data": DataSpec(
            path=str(data / "validation"), batch_size=4, frames=FRAMES, size=SIZE
        ),
        "train": TrainSpec(
            model_dir=str(model_dir),
            steps=8,
            steps_per_loop=2,
            validation_interval=4,
            checkpoint_interval=4,
            pictures=False,
            precise_batch_norm_batches=0,  # test_precise_norm.py tries them
        ),
        "loss": LossSpec(),
        "optimizer": OptimizerSpec(learning_rate=0.05, schedule="constant"),
        "evaluation": EvaluationSpec(),
    }
    changed = dict(settings)
    for section, spec in sections.items():
        names = {f.name for f in dataclasses.fields(spec)}
        taken = {name: changed.pop(name) for name in list(changed) if name in names}
        if section == "train_data":  # both splits take the settings of data
            both = {name: value for name, value in taken.items() if name != "path"}
            sections["validation_data"] = dataclasses.replace(sections["validation_data"], **both)
        sections[section] = dataclasses.replace(sections[section], **taken)
    if changed:
        raise ValueError(f"no such settings: {changed}")
    return Config(**sections, prepare=PrepareSpec())


def set_back(folder, copy, step):
    """Copies a run's folder with the checkpoints to `step` alone, as a kill leaves it; records go further."""
    shutil.copytree(folder, copy)
    for file in copy.glob("ckpt-*"):
        if int(file.name.split(".")[0].removeprefix("ckpt-")) > step:
            file.unlink()
    (copy / "checkpoint").unlink()


def weights(checkpoint):
    """Every variable of the model in a checkpoint, by its key."""
    reader = tf.train.load_checkpoint(checkpoint)
    names = reader.get_variable_to_shape_map()
    return {
        name: reader.get_tensor(name)
        for name in names
        if name.startswith("model/") and "OPTIMIZER_SLOT" not in name
    }
