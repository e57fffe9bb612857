"""Scores every frame of whole videos with a run's network, window by window, and judges when classes are there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from official_vision.data.input.pipeline import build_windows
from official_vision.data.storage.damaged_segments import Skipped, damage_named
from official_vision.data.storage.index import Index
from official_vision.data.storage.segments import segments_of
from official_vision.errors import UserError
from official_vision.metrics.localisation.frames import FrameCollector, ScoredFrames
from official_vision.metrics.localisation.points import judge_points
from official_vision.metrics.localisation.precision import precision_of
from official_vision.metrics.localisation.result import Localisation
from official_vision.metrics.localisation.windows import window_starts
from official_vision.training.clip_scoring import Trained, silently
from official_vision.training.devices.strategies import shared_batches
from official_vision.training.task import gather_replicas, scores_of


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """How windows become scores of frames, as in prediction (serving/predict/options.py).

    Attributes:
      stride: stored frames from one window to the next; None takes half a window.
      merge: frames (each frame's score) or windows (a window's score counts for all of its frames).
      smoothing_sec: width of a moving average over the scores, in seconds; 0 for none.
    """

    stride: int | None = None
    merge: str = "frames"
    smoothing_sec: float = 0.0


def localise(
    trained: Trained,
    options: FrameOptions | None = None,
    progress: Callable[[Iterable, int], Iterable] = silently,
) -> tuple[Localisation, dict[str, np.ndarray]]:
    """Judges the scores of every frame of the validation split of the configuration.

    Args:
      trained: the network.
      options: how windows become scores of frames.
      progress: wraps the batches; it is called with their number.

    Returns:
      The figures, and where annotations state lengths each video's scores at its points, [25, classes] by id.

    Raises:
      UserError: data that doesn't serve the network, a stride beyond a window, or a damaged shard.
    """
    options = options or FrameOptions()
    index = trained.validation_index()
    if index.labelling.timed is None:
        logging.warning(
            "%s: no label has times: each frame is judged by its video's labels",
            trained.config.validation_data.path,
        )
    frames = dict(score_frames(trained, index, options, progress))
    if not frames:
        raise UserError(
            f"Some video must be whole. Received: {trained.config.validation_data.path}, each of whose videos has a "
            "damaged segment. Copy its shards again."
        )
    judged = precision_of(
        [video.scores for video in frames.values()], [video.labels for video in frames.values()]
    )
    lengths = {stated.id: stated.length_sec for stated in index.stated_times}
    points = {
        index.videos[position]: video.at_points(lengths[index.videos[position]])
        for position, video in sorted(frames.items())
        if index.videos[position] in lengths
    }
    truth = [dataclasses.astuple(stated) for stated in index.stated_times]
    result = Localisation(
        index.classes,
        judge_points(truth, points, len(index.classes)) if truth else None,
        judged,
        len(truth) or index.num_videos,
        len(truth) - len(points) if truth else index.num_videos - len(frames),
        {**dataclasses.asdict(options), "stride": _stride(trained, options)},
    )
    return result, points


def score_frames(
    trained: Trained,
    index: Index,
    options: FrameOptions,
    progress: Callable[[Iterable, int], Iterable] = silently,
) -> Iterator[tuple[int, ScoredFrames]]:
    """Yields (position, frames) of each video of the split; one with a damaged segment is left out.

    Args:
      trained: the network.
      index: of the split.
      options: how windows become scores of frames.
      progress: wraps the batches; it is called with their number.
    """
    spec, streams = trained.config.validation_data, trained.model.streams
    lengths, window = segments_of(spec.path, index).frames, spec.frames * spec.frame_stride
    stride = _stride(trained, options)
    starts = [window_starts(int(length), window, stride) for length in lengths]
    places = [(video, start) for video, of_video in enumerate(starts) for start in of_video]
    skipped = Skipped(spec.path, index)
    batches = shared_batches(
        trained.strategy,
        lambda context: build_windows(
            spec, index, streams, places, input_context=context, skipped=skipped
        ),
    )
    collector = FrameCollector(lengths, starts, window, options.merge, options.smoothing_sec)
    with damage_named(spec.path, index):
        for rows in _scored(trained, progress(batches, -(-len(places) // spec.batch_size))):
            yield from collector.add(rows)
    for line in skipped.news():
        logging.warning("%s", line)


def _stride(trained: Trained, options: FrameOptions) -> int:
    spec = trained.config.validation_data
    window = spec.frames * spec.frame_stride
    stride = max(1, window // 2) if options.stride is None else options.stride
    if not 1 <= stride <= window:
        raise UserError(
            f"A stride must be from 1 to a window's {window} frames. Received: {stride}."
        )
    return stride


def _scored(trained: Trained, batches: Iterable) -> Iterator[dict[str, np.ndarray]]:
    """Yields the targets of each batch with the scores of its windows and frames, of all replicas."""
    activation = trained.model.spec.activation

    def score(
        features: dict[str, tf.Tensor], targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        outputs = trained.model(features, training=False, clip_by_clip=True)
        scores = {
            name: scores_of(tf.cast(outputs[logits], tf.float32), activation)
            for name, logits in (("scores", "logits"), ("frame_scores", "frame_logits"))
        }
        return gather_replicas({**targets, **scores})

    @tf.function(autograph=False)
    def step(batch: tuple) -> dict[str, tf.Tensor]:
        return trained.strategy.run(score, batch)

    for batch in batches:
        # Every replica has gathered the rows of all.
        yield {
            name: trained.strategy.experimental_local_results(value)[0].numpy()
            for name, value in step(batch).items()
        }
