"""Features of videos: what a network computes before it classifies."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from official_vision.api.runs import Run, load_run
from official_vision.data.video import FrameSequence
from official_vision.errors import UserError
from official_vision.serving.export.description import Description, description_of_run
from official_vision.serving.features.extraction import Extractor
from official_vision.serving.features.feature_model import FeatureModel, features_of_network
from official_vision.serving.features.options import FeatureOptions
from official_vision.serving.predict.frame_times import FrameTimes


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
    infer = features_of_network(run.network, str(node))
    extractor = Extractor(
        FeatureModel(_description(run), infer), FeatureOptions(str(node), stride=stride)
    )
    times = FrameTimes()
    rows = np.concatenate(list(extractor.rows(video, times)))
    return Features(rows, times.with_end()[:-1], node)


def _description(run: Run) -> Description:
    if run.labels is None or run.preparation is None:
        raise UserError(
            "Features need a run with the preparation settings of its videos. "
            f"Received: {run.folder}, which has none. Train or fine-tune on prepared data first."
        )
    preparation = run.preparation.to_dict()
    return description_of_run(
        run.labels, run.network.streams, preparation, run.config.validation_data
    )
