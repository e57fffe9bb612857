"""Features of videos: what a network computes before it classifies."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import tensorflow as tf

from official_vision.api.runs import Run, load_run
from official_vision.data.video import FrameSequence
from official_vision.data.video_streams import FrameStreams
from official_vision.errors import UserError
from official_vision.metrics.localisation.windows import ScoreMerger, centre_weights, windows
from official_vision.modeling.ops.shared_maps import spatial_average
from official_vision.serving.export.description import description_of_run
from official_vision.serving.predict.video_clips import Feeder


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of one video.

    Attributes:
      values: float32 [frames, channels], spatial averages.
      times_sec: [frames], at which the frames begin, in seconds.
      node: index of the node that computed them.
    """

    values: np.ndarray
    times_sec: np.ndarray
    node: int


def extract_features(
    run: Run | str | os.PathLike,
    video: str | os.PathLike | FrameSequence,
    *,
    node: int | None = None,
    stride: int | None = None,
) -> Features:
    """Computes a node's output for every frame of a video, averaged over space.

    The video is cut into overlapping windows of the length that the run was evaluated on; a frame's features are
    the mean over the windows that show it, weighted towards their centres.

    Args:
      run: of `load_run`, or a run's folder.
      video: its path, or frames.
      node: index of the node; None takes the last block, whose output the classifier reads.
      stride: frames from one window to the next; None takes half a window.

    Raises:
      UserError: the run has no preparation settings, or has no such node.
      VideoError: the video can't be decoded.
    """
    run = run if isinstance(run, Run) else load_run(run)
    node = run.network.architecture.outputs[-1] if node is None else node
    if str(node) not in run.network.node_layers:
        nodes = ", ".join(run.network.node_layers)
        raise UserError(f"A node must be one of {nodes}. Received: {node}. Name another.")
    feeder = _feeder(run)
    step = max(1, feeder.window_frames // 2) if stride is None else stride
    if not 1 <= step <= feeder.window_frames:
        raise UserError(
            f"A stride must be from 1 to a window's {feeder.window_frames} frames. Received: {stride}."
        )
    # Shapes are relaxed after the first window: a short video's is shorter.
    average = tf.function(lambda clip: _average(run, clip, str(node)), reduce_retracing=True)
    merger = ScoreMerger(run.network.plan[node].output_channels)
    weights, times = centre_weights(feeder.window_frames), []

    def timed(frame: FrameStreams) -> FrameStreams:
        times.append(frame.time_sec)
        return frame

    frames = (timed(frame) for frame in feeder.streams(video))
    for numbers, clip in feeder.clips(windows(frames, feeder.window_frames, step)):
        values = average({name: x[tf.newaxis] for name, x in clip.items()}).numpy()
        merger.add(numbers, values, weights[numbers - numbers[0]])
    return Features(merger.scores(len(times)), np.array(times), node)


def _feeder(run: Run) -> Feeder:
    if run.labels is None or run.preparation is None:
        raise UserError(
            "Features need a run with the preparation settings of its videos. "
            f"Received: {run.folder}, which has none. Train or fine-tune on prepared data first."
        )
    preparation = run.preparation.to_dict()
    clip = run.config.validation_data
    return Feeder(description_of_run(run.labels, run.network.streams, preparation, clip))


def _average(run: Run, clip: dict[str, tf.Tensor], node: str) -> tf.Tensor:
    """Returns a node's spatial averages over one clip, [frames, channels]."""
    output = run.network.endpoints(clip, training=False)[node]
    return tf.cast(spatial_average(output), tf.float32)
