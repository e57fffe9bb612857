"""Feeding: clips per second and core beside Model Garden's reader, bytes per clip, decodings per frame.

All readers run in turn, round after round, so that other load of the machine affects all of them.
Their speed is clips per second of processor time: what one core gives.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision.benchmark.model_garden_reader import garden_dataset
from official_vision.benchmark.network_speed import TRAIN, work_of
from official_vision.benchmark.scenes import SPLIT, write_scenes
from official_vision.benchmark.spread import spread
from official_vision.config import Config
from official_vision.data.input import clip
from official_vision.data.input import clip_span as span
from official_vision.data.input.geometry import evaluation_box
from official_vision.data.input.pipeline import build_dataset
from official_vision.data.prepare.preparation import prepare_split
from official_vision.data.storage.index import Index
from official_vision.data.storage.segments import segments_of
from official_vision.errors import UserError
from official_vision.progress import tracked
from official_vision.specs import DataSpec

_ACCELERATOR_FLOPS = 1e14
_SCENES = 8
_SPARE_FRAMES = 24  # of a generated video beyond its clip
_UNCOUNTED = 6  # batches that are read first: readers make some ahead
_SAMPLED_VIDEOS = 32


def measure_input(config: Config, rounds: int, batches: int) -> dict[str, Any]:
    """Measures the feeding of `config.train_data`; without a path, of generated videos.

    Args:
      config: train_data, and prepare for generated videos.
      rounds: each reader runs once in each.
      batches: of a reader in a round.

    Returns:
      JSON values: the clip, speeds by reader, ratios to Model Garden's reader, bytes and decodings, and what a
      training of `config.model` needs: GFLOP per clip, clips per second and cores of input for each 100 TFLOP/s.
    """
    with contextlib.ExitStack() as around:
        spec = config.train_data
        if not spec.path:
            folder = around.enter_context(tempfile.TemporaryDirectory())
            spec = dataclasses.replace(spec, path=_generated(config, Path(folder)))
        index = Index.read(spec.path)
        speeds = _speeds(spec, index, rounds, batches)
        return {
            "data": config.train_data.path or "generated",
            "videos": index.num_videos,
            "clip": [spec.frames, spec.size, spec.size],
            "batch_size": spec.batch_size,
            **speeds,
            "training": _needed(config, list(speeds["clips_per_core_second"].values())[-1]),
            "bytes_per_clip": _bytes(spec, index),
            "decoded_per_used_frame": _decoded_per_used_frame(spec, index),
            "grey_levels_from_garden": _difference(spec, index),
        }


def _generated(config: Config, folder: Path) -> str:
    """Prepares generated videos of the size and streams that PrepareSpec names; returns the split's folder."""
    data, prepare = config.train_data, config.prepare
    frames = (data.frames - 1) * data.frame_stride + 1 + _SPARE_FRAMES
    height = prepare.short_side // 2 * 2
    # Model Garden's reader needs a batch of videos at least.
    scenes = max(_SCENES, data.batch_size)
    manifest = write_scenes(folder / "videos", scenes, frames, height, height * 4 // 3 // 2 * 2)
    prepare = dataclasses.replace(
        prepare, videos=str(folder / "videos"), output=str(folder / "shards"), videos_per_shard=2
    )
    prepare_split(manifest, SPLIT, prepare, lambda: None)
    return str(folder / "shards" / SPLIT)


def _readers(spec: DataSpec, index: Index) -> dict[str, Callable[[], tf.data.Dataset]]:
    paths = segments_of(spec.path, index).paths
    classes = len(index.classes)
    readers = {
        "garden_rgb": lambda: garden_dataset(spec, paths, classes, training=True),
        "rgb": lambda: build_dataset(spec, index, ("rgb",), training=True),
    }
    if len(index.streams) > 1:
        name = "_".join(index.streams)
        readers[name] = lambda: build_dataset(spec, index, index.streams, training=True)
    return readers


def _speeds(spec: DataSpec, index: Index, rounds: int, batches: int) -> dict[str, Any]:
    if index.num_videos < spec.batch_size:
        raise UserError(
            "Model Garden's reader needs a batch of videos at least. "
            f"Received: {index.num_videos} videos, DataSpec.batch_size = {spec.batch_size}. Lower it."
        )
    datasets = {name: make() for name, make in _readers(spec, index).items()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in datasets}
    for number in tracked(range(rounds), rounds, "reading", "rounds"):
        names = list(datasets)
        # Each reader goes first in turn.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            seconds[name].append(_seconds_of(datasets[name], batches))
    clips = batches * spec.batch_size
    speeds = {name: [clips / core for core, _ in pairs] for name, pairs in seconds.items()}
    ratios = {
        name: [rate / other for rate, other in zip(of_one, speeds["garden_rgb"], strict=True)]
        for name, of_one in speeds.items()
        if name != "garden_rgb"
    }
    return {
        "rounds": rounds,
        "clips_per_round": clips,
        "clips_per_core_second": {name: spread(values) for name, values in speeds.items()},
        "clips_per_second": {
            name: spread([clips / wall for _, wall in pairs]) for name, pairs in seconds.items()
        },
        "times_garden_rgb": {name: spread(values) for name, values in ratios.items()},
    }


def _needed(config: Config, clips_per_core_second: dict[str, float]) -> dict[str, float]:
    """Returns what feeds an accelerator that does _ACCELERATOR_FLOPS of training; by the reader of all streams."""
    clips, flops = work_of(config, TRAIN)
    rate = _ACCELERATOR_FLOPS / (flops / clips)
    return {
        "gflop_per_clip": flops / clips / 1e9,
        "clips_per_second": rate,
        "cores": rate / clips_per_core_second["median"],
    }


def _seconds_of(dataset: tf.data.Dataset, batches: int) -> tuple[float, float]:
    """Returns the seconds of processor time (of all threads) and of the clock that reading batches takes.

    The dataset does not end, and is read for a while before: as many batches are in the making at the start as
    at the end, and work that is done once per run is over.
    """
    iterator = iter(dataset)
    for _ in range(_UNCOUNTED):
        next(iterator)
    core, wall = time.process_time(), time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return time.process_time() - core, time.perf_counter() - wall


def _bytes(spec: DataSpec, index: Index) -> dict[str, dict[str, float]]:
    """Returns, for each stream, the encoded bytes of a clip in the shards, and those of its tensor."""
    segments = segments_of(spec.path, index)
    stored: dict[str, list[float]] = {stream: [] for stream in index.streams}
    for position in range(min(len(segments), _SAMPLED_VIDEOS)):
        record = segments.window(
            tf.constant(position), tf.constant(0), segments.segment_frames, index.streams
        )
        for stream in index.streams:
            lengths = tf.strings.length(record[stream]).numpy()
            frames = spec.frames * (spec.frame_stride if stream == "flow" else 1)
            stored[stream].append(float(lengths.mean()) * frames)
    fed, _ = build_dataset(spec, index, index.streams, training=True).element_spec
    return {
        stream: {
            "stored": statistics.mean(stored[stream]),
            "fed": fed[stream].shape[1:].num_elements() * fed[stream].dtype.size,
        }
        for stream in index.streams
    }


@contextlib.contextmanager
def _counted_decodings(index: Index) -> Iterator[dict[str, int]]:
    """Counts each stream's decodings in the datasets that are built inside, as they run."""
    counts = dict.fromkeys(index.streams, 0)
    decode = clip.decode_frame

    def counting(encoded: tf.Tensor, stream: str, *rest: tf.Tensor) -> tf.Tensor:
        def count() -> None:
            counts[stream] += 1

        tf.numpy_function(count, [], [])
        return decode(encoded, stream, *rest)

    clip.decode_frame = counting
    try:
        yield counts
    finally:
        clip.decode_frame = decode


def _decoded_per_used_frame(spec: DataSpec, index: Index) -> dict[str, float]:
    """Returns decodings over the stored frames that clips show; each view and crop counts as a clip."""
    spec = dataclasses.replace(spec, views=1, crops=1)
    with _counted_decodings(index) as counts:
        for _ in build_dataset(spec, index, index.streams, training=False):
            pass
    used = dict.fromkeys(index.streams, 0)
    for length in segments_of(spec.path, index).frames:
        length = tf.constant(length)
        start = span.evaluation_start(length, spec, tf.constant(0))
        numbers = set(span.frame_numbers(start, length, spec).numpy().tolist())
        flows = set(span.flow_numbers(start, length, spec).numpy().ravel().tolist())
        for stream in index.streams:
            used[stream] += len(flows - {span.NO_MOTION} if stream == "flow" else numbers)
    return {stream: counts[stream] / max(1, used[stream]) for stream in index.streams}


def _difference(spec: DataSpec, index: Index) -> float:
    """Returns the mean difference of rgb from Model Garden's, of the first segment's middle clip, in grey levels."""
    spec, streams = dataclasses.replace(spec, views=1, crops=1), ("rgb",)
    segments = segments_of(spec.path, index)
    first = segments.window(tf.constant(0), tf.constant(0), segments.segment_frames, streams)
    start = span.evaluation_start(clip.num_frames(first, streams), spec, tf.constant(0))
    box = evaluation_box(*clip.frame_size(first, start, streams), tf.constant(0.5))
    ours = clip.decode_clip(first, start, box, tf.constant(False), spec, streams)["rgb"]
    small = dataclasses.replace(spec, batch_size=1)
    garden = garden_dataset(small, segments.paths[:1], len(index.classes), training=False)
    theirs, _ = next(iter(garden))
    return float(np.abs(ours.numpy() - 255 * theirs["image"][0].numpy()).mean())


def input_text(result: dict[str, Any]) -> str:
    """Returns the figures as a table for the screen."""
    frames, height, width = result["clip"]
    lines = [
        f"clips of {frames} x {height} x {width}, batches of {result['batch_size']}, "
        f"{result['rounds']} rounds of {result['clips_per_round']} clips, {result['data']} data",
        f"{'reader':<20} {'clips/s per core':>22} {'clips/s':>9} {'x Garden':>20}",
    ]
    for name, speed in result["clips_per_core_second"].items():
        ratio = result["times_garden_rgb"].get(name)
        wall = result["clips_per_second"][name]["median"]
        lines.append(f"{name:<20} {_shown(speed):>22} {wall:9.1f} {_shown(ratio):>20}")
    lines.append(f"{'stream':<20} {'stored bytes/clip':>22} {'fed':>12} {'decoded/used':>14}")
    for stream, size in result["bytes_per_clip"].items():
        decoded = result["decoded_per_used_frame"][stream]
        lines.append(f"{stream:<20} {size['stored']:22.0f} {size['fed']:12d} {decoded:14.2f}")
    lines.append(
        f"rgb differs from Garden's by {result['grey_levels_from_garden']:.2f} grey levels on average"
    )
    needed = result["training"]
    lines.append(
        f"a training step takes {needed['gflop_per_clip']:.0f} GFLOP per clip: each 100 TFLOP/s of it need "
        f"{needed['clips_per_second']:.0f} clips/s, {needed['cores']:.1f} cores of input"
    )
    return "\n".join(lines)


def _shown(numbers: dict[str, float] | None) -> str:
    if numbers is None:
        return ""
    return f"{numbers['median']:.2f} ({numbers['least']:.2f}-{numbers['most']:.2f})"
